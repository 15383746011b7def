-- Dispositions without a row in the seed `dispositions`: they do not say whether a call was resolved.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "call_outcomes"}}}) }}

select outcomes.source, outcomes.disposition, count(*) as call_count, max(calls.updated_at) as last_updated_at
from {{ ref("call_outcomes") }} as outcomes
inner join {{ ref("calls") }} as calls on outcomes.call_key = calls.call_key
left join {{ ref("dispositions") }} as known on outcomes.disposition = known.disposition
where outcomes.disposition is not null and known.disposition is null
group by outcomes.source, outcomes.disposition
order by last_updated_at desc, outcomes.disposition asc
