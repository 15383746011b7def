with

    calls as (select * from {{ ref("int_calls_interpreted") }}),

    facts as (select * from {{ ref("int_calls_measured") }}),

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
            facts.call_date,
            facts.began_at,
            calls.started_at,
            calls.ended_at,
            calls.duration_seconds,
            calls.turn_count,
            calls.summary,
            calls.status,
            calls.end_reason,
            facts.end_reason_category,
            facts.is_ended_by_error,
            facts.answer_status,
            facts.is_inbound,
            facts.is_outbound,
            facts.is_over,
            facts.is_attempted,
            facts.is_connected,
            facts.is_answered,
            facts.is_abandoned,
            facts.is_unreached,
            facts.is_failed,
            facts.is_handled,
            facts.handle_seconds,
            calls.recording_url,
            calls.has_start,
            calls.has_end,
            calls.has_analytics,
            calls.start_received_at,
            calls.end_received_at,
            calls.analytics_received_at,
            calls.last_webhook_at,
            calls.last_received_at as updated_at
        from calls
        inner join facts on calls.call_key = facts.call_key
    )

select *
from final
