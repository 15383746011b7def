with

    calls as (
        select outcomes.*, repeats.is_repeat_call
        from {{ ref("int_call_outcomes") }} as outcomes
        left join {{ ref("int_repeat_calls") }} as repeats on outcomes.call_key = repeats.call_key
        where outcomes.customer_phone is not null
    ),

    final as (
        select
            customer_phone,
            max_by(customer_name, call_order) as customer_name,
            max_by(customer_email, call_order) as customer_email,
            max(case when is_vip then 1 else 0 end) = 1 as is_vip,
            count(*) as call_count,
            cast(sum(case when is_repeat_call then 1 else 0 end) as bigint) as repeat_call_count,
            cast(sum(case when is_resolved then 1 else 0 end) as bigint) as resolved_call_count,
            cast(sum(case when not is_resolved then 1 else 0 end) as bigint) as unresolved_call_count,
            avg(satisfaction_score) as average_satisfaction,
            min(call_moment) as first_call_at,
            max(call_moment) as last_call_at,
            max_by(call_key, call_order) as last_call_key
        from calls
        group by customer_phone
    )

select *
from final
