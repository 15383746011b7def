-- Calls with an event of more than `names_per_event` names: the build ignores the rest.
{{ config(severity="warn") }}

select call_key, source, names_left_out, last_received_at
from {{ ref("int_calls_merged") }}
where names_left_out > 0
order by last_received_at desc, call_key asc
