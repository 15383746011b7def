-- Events that are neither start, end nor analytics, nor in the seed `event_types`. They count to their
-- call, and
-- every other event wins over them.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "int_events_unioned"}}}) }}

select events.source, events.event_type, count(*) as event_count, max(events.received_at) as last_received_at
from {{ ref("int_events_unioned") }} as events
left join
    {{ ref("event_types") }} as known
    on events.event_type = known.event_type
    and coalesce(known.source, events.source) = events.source
where events.event_rank = 0 and known.event_type is null
group by events.source, events.event_type
order by last_received_at desc, events.event_type asc
