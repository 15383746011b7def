with

    due as (select * from {{ ref("int_due_actions") }} where kind = 'ticket'),

    calls as (select * from {{ ref("int_calls_interpreted") }}),

    queues as (select * from {{ ref("queues") }}),

    final as (
        select
            due.action_key,
            'ticket' as channel,
            due.kind,
            due.source,
            due.call_id,
            due.due_at,
            cast(null as varchar) as skip_reason,
            due.built_at,
            {{ as_title("calls.issue_type") }} || ': ' || {{ customer_label("calls") }} as title,
            {{ paragraphs(["calls.summary", transcript_text("spoken.turns")]) }} as description,
            calls.priority,
            {{ queue_of("queues") }} as queue,
            calls.issue_type,
            calls.customer_name,
            calls.customer_phone,
            calls.customer_email,
            calls.is_resolved,
            calls.started_at,
            calls.agent_id
        from due
        inner join calls on due.call_key = calls.call_key
        -- Joins by the load time too, so that the database skips the transcripts of all other calls.
        inner join
            {{ ref("int_calls_merged") }} as spoken
            on due.call_key = spoken.call_key
            and due.loaded_at = spoken.last_loaded_at
        left join queues on calls.issue_type = queues.issue_type
    )

select *
from final
