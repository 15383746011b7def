-- Scores that are no integer from 1 to 5, which count as unknown. Check how the agent is told to measure.
{{ config(severity="warn") }}

select source, satisfaction_text, count(*) as call_count, max(last_received_at) as last_received_at
from {{ ref("int_calls_interpreted") }}
where satisfaction_text is not null and satisfaction_score is null
group by source, satisfaction_text
order by last_received_at desc, satisfaction_text asc
