with

    calls as (select * from {{ ref("int_calls_interpreted") }} where customer_phone is not null),

    repeats as (
        select customer_phone, {{ count_of("repeat_call_count") }} as repeat_call_count
        from {{ ref("int_calls_repeats_marked") }}
        group by customer_phone
    ),

    known as (
        select
            customer_phone,
            max_by(customer_name, call_order) as customer_name,
            max_by(customer_email, call_order) as customer_email,
            max(case when is_vip then 1 else 0 end) = 1 as is_vip,
            {{ count_of("call_count") }} as call_count,
            {{ count_of("resolved_call_count") }} as resolved_call_count,
            {{ count_of("unresolved_call_count") }} as unresolved_call_count,
            {{ count_of("rated_call_count") }} as rated_call_count,
            {{ satisfaction_sum() }} as satisfaction_sum,
            min(call_moment) as first_call_at,
            max(call_moment) as last_call_at,
            max_by(call_key, call_order) as last_call_key
        from calls
        group by customer_phone
    ),

    final as (
        select
            known.customer_phone,
            known.customer_name,
            known.customer_email,
            known.is_vip,
            known.call_count,
            coalesce(repeats.repeat_call_count, 0) as repeat_call_count,
            known.resolved_call_count,
            known.unresolved_call_count,
            {{ rate_of("average_satisfaction") }} as average_satisfaction,
            known.first_call_at,
            known.last_call_at,
            known.last_call_key
        from known
        left join repeats on known.customer_phone = repeats.customer_phone
    )

select *
from final
