-- Events of a platform without a staging model: stored in raw, in no call.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "int_events_unioned"}}}) }}

select raw_events.source, count(*) as event_count, max(raw_events.received_at) as last_received_at
from {{ source("raw", "call_events") }} as raw_events
left join {{ ref("int_events_unioned") }} as events on raw_events.event_key = events.event_key
where events.event_key is null
group by raw_events.source
order by last_received_at desc, raw_events.source asc
