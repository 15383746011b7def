-- Scores that are no integer from 1 to 5: they count as unknown. Look at how the agent is told to measure.
{{ config(severity="warn") }}

select call_key, satisfaction_text
from {{ ref("int_call_outcomes") }}
where satisfaction_text is not null and satisfaction_score is null
