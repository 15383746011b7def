-- Every kind of due action is a ticket, an email, a CRM record, or has a row in slack_channels. A headline
-- has
-- no placeholder that nobody fills in.
{{ config(meta={"dagster": {"ref": {"name": "int_due_actions"}}}) }}

with

    channels as (select * from {{ ref("slack_channels") }}),

    final as (
        select distinct due.kind as kind, 'no row in slack_channels.csv' as problem
        from {{ ref("int_due_actions") }} as due
        left join channels on due.kind = channels.kind
        where
            channels.kind is null and due.kind not in ('ticket', 'follow_up_email', 'contact', 'note', 'task')
        union all
        select kind, 'its headline has a placeholder that nobody fills in' as problem
        from channels
        where
            replace(replace(replace(headline, '{customer}', ''), '{outcome}', ''), '{summary}', '')
            like '%' || '{' || '%'
    )

select *
from final
