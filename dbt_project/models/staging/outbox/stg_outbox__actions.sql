with

    recorded as (
        select
            action_key,
            channel,
            kind,
            source,
            call_id,
            destination,
            status,
            attempts,
            external_id,
            last_error,
            due_at,
            next_attempt_at,
            created_at,
            updated_at,
            sent_at,
            loaded_at,
            {{ json_fields("payload", {"template": "VARCHAR"}) }} as body
        from {{ source("raw", "outbox_actions") }}
    ),

    final as (
        select * exclude (body), source || ':' || call_id as call_key, body.template as template from recorded
    )

select *
from final
