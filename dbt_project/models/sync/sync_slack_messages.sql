with

    channels as (select * from {{ ref("slack_channels") }}),

    due as (
        select
            due.*,
            channels.slack_channel,
            channels.headline as headline_template,
            channels.icon,
            channels.action_needed
        from {{ ref("int_due_actions") }} as due
        inner join channels on due.kind = channels.kind
    ),

    calls as (select * from {{ ref("int_calls_interpreted") }}),

    final as (
        select
            due.action_key,
            'slack' as channel,
            due.kind,
            due.source,
            due.call_id,
            due.due_at,
            cast(null as varchar) as skip_reason,
            due.built_at,
            due.slack_channel,
            {{ slack_headline("due.headline_template", "calls") }} as headline,
            due.icon,
            {{ customer_label("calls") }} as customer,
            calls.summary,
            due.action_needed,
            calls.agent_id,
            calls.started_at
        from due
        inner join calls on due.call_key = calls.call_key
    )

select *
from final
