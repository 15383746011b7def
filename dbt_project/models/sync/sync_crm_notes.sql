with

    due as (select * from {{ ref("int_due_actions") }} where kind = 'note'),

    calls as (select * from {{ ref("int_calls_interpreted") }}),

    final as (
        select
            due.action_key,
            'crm' as channel,
            due.kind,
            due.source,
            due.call_id,
            due.due_at,
            case when calls.customer_phone is null then 'no phone' end as skip_reason,
            due.built_at,
            calls.customer_phone as phone,
            'Voice call'
            || coalesce(' - ' || {{ whole_minutes("calls.duration_seconds") }} || ' min', '')
            || coalesce(' - ' || replace(calls.disposition, '_', ' '), '') as title,
            coalesce(calls.summary, '') as body,
            calls.started_at,
            calls.duration_seconds,
            calls.disposition,
            calls.agent_id
        from due
        inner join calls on due.call_key = calls.call_key
    )

select *
from final
