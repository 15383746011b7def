-- Measures without a row in the seed `measures`, which keep their own name. Add a row for those that matter.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "call_metrics"}}}) }}

select metrics.source, metrics.measure, count(*) as call_count, max(calls.updated_at) as last_updated_at
from {{ ref("call_metrics") }} as metrics
inner join {{ ref("calls") }} as calls on metrics.call_key = calls.call_key
where not metrics.is_mapped
group by metrics.source, metrics.measure
order by last_updated_at desc, metrics.measure asc
