-- Events of a platform that no folder in models/staging reads: kept in raw, in no call.
{{ config(severity="warn") }}

select source, count(*) as event_count
from {{ source("raw", "call_events") }}
where source not in ('atoms', 'generic')
group by source
