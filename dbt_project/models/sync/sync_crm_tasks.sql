with

    due as (select * from {{ ref("int_due_actions") }} where kind = 'task'),

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
            'Follow up on '
            || replace(calls.issue_type, '_', ' ')
            || ': '
            || {{ customer_label("calls") }} as subject,
            coalesce(calls.summary, '') as body,
            {{
                working_days_after(
                    "cast(coalesce(calls.ended_at, due.due_at) as date)", var("task_due_working_days")
                )
            }} as due_date,
            calls.priority
        from due
        inner join calls on due.call_key = calls.call_key
    )

select *
from final
