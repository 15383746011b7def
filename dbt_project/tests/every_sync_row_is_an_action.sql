-- Every action in int_due_actions is in exactly one sync model, and nothing else is in a sync model.
{{ config(meta={"dagster": {"ref": {"name": "int_due_actions"}}}) }}

with

    synced as (
        {% for model in [
            "sync_tickets",
            "sync_emails",
            "sync_crm_contacts",
            "sync_crm_notes",
            "sync_crm_tasks",
            "sync_slack_messages",
        ] %}
            select action_key from {{ ref(model) }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    counted as (select action_key, count(*) as times from synced group by action_key),

    final as (
        select due.action_key as due_action_key, counted.action_key as synced_action_key, counted.times
        from {{ ref("int_due_actions") }} as due
        full outer join counted on due.action_key = counted.action_key
        where due.action_key is null or counted.action_key is null or counted.times <> 1
    )

select *
from final
