with

    final as (
        select
            source || ':' || end_reason as end_reason_key,
            source,
            end_reason,
            max(end_reason_category) as end_reason_category,
            max(case when is_ended_by_error then 1 else 0 end) = 1 as is_error,
            count(*) as call_count,
            min(call_moment) as first_call_at,
            max(call_moment) as last_call_at
        from {{ ref("int_calls_measured") }}
        where end_reason is not null
        group by source, end_reason
    )

select *
from final
