-- Every event with a call id, of a platform with a staging model, counts in exactly one call.
{{ config(meta={"dagster": {"ref": {"name": "int_calls_merged"}}}) }}

with

    staged as (
        select source || ':' || call_id as call_key, count(distinct event_key) as event_count
        from {{ source("raw", "call_events") }}
        where
            call_id is not null
            and source in (select known.source from {{ ref("int_events_unioned") }} as known)
        group by source, call_id
    ),

    final as (
        select
            staged.call_key as staged_call_key,
            calls.call_key as built_call_key,
            staged.event_count as staged_event_count,
            calls.event_count as built_event_count
        from staged
        full outer join {{ ref("int_calls_merged") }} as calls on staged.call_key = calls.call_key
        where coalesce(staged.event_count, 0) <> coalesce(calls.event_count, 0)
    )

select *
from final
