-- What the rules say is due now is in the ledger, whatever increments it was built in.
{{ config(meta={"dagster": {"ref": {"name": "int_due_actions"}}}) }}

with

    due as (
        select 'ticket:' || call_key as action_key
        from {{ ref("int_calls_interpreted") }}
        where not is_resolved
        union all
        select 'follow_up_email:' || call_key
        from {{ ref("int_calls_interpreted") }}
        where email_template is not null
        union all
        select 'note:' || call_key
        from {{ ref("int_calls_interpreted") }}
        where is_ended
        union all
        select 'task:' || call_key
        from {{ ref("int_calls_interpreted") }}
        where needs_follow_up or not is_resolved
        union all
        select distinct 'contact:' || customer_phone
        from {{ ref("int_calls_interpreted") }}
        where customer_phone is not null
        union all
        select 'transfer_requested:' || call_key
        from {{ ref("int_calls_interpreted") }}
        where is_transfer_requested
        union all
        select 'unhappy_customer:' || call_key
        from {{ ref("int_calls_interpreted") }}
        where is_unhappy
        union all
        select 'vip_call:' || call_key
        from {{ ref("int_calls_interpreted") }}
        where is_vip and is_ended
    ),

    final as (
        select due.action_key
        from due
        left join {{ ref("int_due_actions") }} as remembered on due.action_key = remembered.action_key
        where remembered.action_key is null
    )

select *
from final
