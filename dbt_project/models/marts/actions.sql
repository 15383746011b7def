with

    actions as (select * from {{ ref("stg_outbox__actions") }}),

    calls as (select call_key, ended_at from {{ ref("int_calls_merged") }}),

    final as (
        select
            actions.action_key,
            actions.channel,
            actions.kind,
            actions.template,
            actions.destination,
            actions.call_key,
            actions.source,
            actions.call_id,
            actions.status,
            actions.attempts,
            actions.external_id,
            actions.last_error,
            actions.due_at,
            actions.next_attempt_at,
            actions.created_at,
            actions.updated_at,
            actions.sent_at,
            calls.ended_at as call_ended_at,
            {{ seconds_between("calls.ended_at", "actions.sent_at") }} as seconds_from_call_end_to_sent,
            {{ seconds_between("actions.due_at", "actions.sent_at") }} as seconds_from_due_to_sent
        from actions
        left join calls on actions.call_key = calls.call_key
    )

select *
from final
