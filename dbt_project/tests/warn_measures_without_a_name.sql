-- Measures that the seed `measures` does not know: kept under their own name. Give those that matter a row.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "call_metrics"}}}) }}

select metrics.source, metrics.measure, count(*) as call_count, max(calls.updated_at) as last_updated_at
from {{ ref("call_metrics") }} as metrics
inner join {{ ref("calls") }} as calls on metrics.call_key = calls.call_key
where not metrics.is_mapped
group by metrics.source, metrics.measure
order by last_updated_at desc, metrics.measure asc
