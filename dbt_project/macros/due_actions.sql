{# When an action is due. The models of `sync/` say what it contains. #}
{% macro due_action_rules() -%}
    {{
        return(
            [
                {
                    "kind": "ticket",
                    "key": "call_key",
                    "is_due": "is_unresolved",
                    "due_at": "resolved_moment",
                },
                {
                    "kind": "follow_up_email",
                    "key": "call_key",
                    "is_due": "email_template is not null",
                    "due_at": "analysed_moment",
                },
                {
                    "kind": "contact",
                    "key": "customer_phone",
                    "is_due": "customer_phone is not null",
                    "due_at": "ended_moment",
                },
                {"kind": "note", "key": "call_key", "is_due": "is_ended", "due_at": "ended_moment"},
                {
                    "kind": "task",
                    "key": "call_key",
                    "is_due": "needs_follow_up or is_unresolved",
                    "due_at": "resolved_moment",
                },
                {
                    "kind": "transfer_requested",
                    "key": "call_key",
                    "is_due": "is_transfer_requested",
                    "due_at": "resolved_moment",
                },
                {
                    "kind": "unhappy_customer",
                    "key": "call_key",
                    "is_due": "is_unhappy",
                    "due_at": "analysed_moment",
                },
                {
                    "kind": "vip_call",
                    "key": "call_key",
                    "is_due": "is_vip and is_ended",
                    "due_at": "ended_moment",
                },
            ]
        )
    }}
{%- endmacro %}
