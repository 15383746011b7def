-- End reasons that match neither the seed `end_reasons` nor a pattern: add a row.
{{ config(severity="warn") }}

select source, end_reason, call_count, last_call_at
from {{ ref("call_end_reasons") }}
where end_reason_category is null
order by last_call_at desc, end_reason asc
