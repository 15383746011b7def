with

    final as (
        select
            call_key,
            source,
            call_id,
            agent_id,
            direction,
            customer_phone,
            agent_phone,
            cast(coalesce(call_moment, first_received_at) as date) as call_date,
            started_at,
            ended_at,
            duration_seconds,
            turn_count,
            summary,
            status,
            recording_url,
            has_start,
            has_end,
            has_analytics,
            last_received_at as updated_at
        from {{ ref("int_call_outcomes") }}
    )

select *
from final
