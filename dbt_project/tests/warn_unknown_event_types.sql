-- Events that are neither start, end nor analytics: kept, counted to their call, but with the least say.
{{ config(severity="warn") }}

select source, event_type, count(*) as event_count
from {{ ref("int_events") }}
where event_rank = 0
group by source, event_type
