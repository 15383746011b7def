-- Every action that a call makes due now is in int_due_actions, however many increments built it.
{{ config(meta={"dagster": {"ref": {"name": "int_due_actions"}}}) }}

with

    due as (
        {% for rule in due_action_rules() %}
            select distinct '{{ rule.kind }}:' || {{ rule.key }} as action_key
            from {{ ref("int_calls_interpreted") }}
            where {{ rule.is_due }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    final as (
        select due.action_key
        from due
        left join {{ ref("int_due_actions") }} as stored on due.action_key = stored.action_key
        where stored.action_key is null
    )

select *
from final
