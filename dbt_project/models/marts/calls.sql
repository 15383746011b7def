with

    calls as (select * from {{ ref("int_call_outcomes") }}),

    end_reasons as (select * from {{ ref("call_end_reasons") }}),

    final as (
        select
            calls.call_key,
            calls.source,
            calls.call_id,
            calls.parent_call_id,
            calls.agent_id,
            calls.direction,
            calls.customer_phone,
            calls.agent_phone,
            cast(coalesce(calls.call_moment, calls.first_received_at) as date) as call_date,
            calls.started_at,
            calls.ended_at,
            calls.duration_seconds,
            calls.turn_count,
            calls.summary,
            calls.status,
            calls.end_reason,
            end_reasons.end_reason_category,
            end_reasons.is_error as is_ended_by_error,
            calls.recording_url,
            calls.has_start,
            calls.has_end,
            calls.has_analytics,
            calls.last_received_at as updated_at
        from calls
        left join
            end_reasons on calls.source = end_reasons.source and calls.end_reason = end_reasons.end_reason
    )

select *
from final
