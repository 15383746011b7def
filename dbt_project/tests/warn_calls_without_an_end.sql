-- Calls that started more than `no_end_timeout_hours` ago without an end: an event was lost.
{{ config(severity="warn") }}

select call_key, started_at
from {{ ref("int_calls_merged") }}
where
    has_start
    and not is_ended
    and not has_analytics
    and first_received_at
    < cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
    - interval '{{ var("no_end_timeout_hours") }} hours'
order by first_received_at desc
