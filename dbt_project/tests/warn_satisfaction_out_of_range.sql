-- depends on what the agents are configured to measure; such a score counts as unknown
{{ config(severity="warn") }}

select call_key, satisfaction_text
from {{ ref("int_call_outcomes") }}
where satisfaction_text is not null and satisfaction_score is null
