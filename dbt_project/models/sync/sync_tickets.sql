with

    due as (select * from {{ ref("int_due_actions") }} where kind = 'ticket'),

    calls as (select * from {{ ref("int_call_outcomes") }}),

    -- By the load time too: it lets the database pass over the transcripts of all other calls.
    spoken as (
        select due.action_key, {{ transcript_text("calls.turns") }} as transcript
        from due
        inner join
            {{ ref("int_calls") }} as calls
            on due.call_key = calls.call_key
            and due.loaded_at = calls.last_loaded_at
    ),

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
            {{ paragraphs(["calls.summary", "spoken.transcript"]) }} as description,
            calls.priority,
            coalesce(queues.queue, '{{ var("default_queue") }}') as queue,
            calls.issue_type,
            calls.customer_name,
            calls.customer_phone,
            calls.customer_email,
            calls.is_resolved
        from due
        inner join calls on due.call_key = calls.call_key
        left join spoken on due.action_key = spoken.action_key
        left join queues on calls.issue_type = queues.issue_type
    )

select *
from final
