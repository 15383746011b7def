with

    calls as (select * from {{ ref("int_call_outcomes") }} where agent_id is not null),

    final as (
        select
            source || ':' || agent_id as agent_key,
            source,
            agent_id,
            count(*) as call_count,
            cast(sum(case when is_resolved then 1 else 0 end) as bigint) as resolved_call_count,
            cast(sum(case when not is_resolved then 1 else 0 end) as bigint) as unresolved_call_count,
            cast(sum(case when is_transfer_requested then 1 else 0 end) as bigint) as transfer_request_count,
            avg(satisfaction_score) as average_satisfaction,
            {{ exact_sum("duration_seconds") }} / count(duration_seconds) as average_duration_seconds,
            min(call_moment) as first_call_at,
            max(call_moment) as last_call_at
        from calls
        group by source, agent_id
    )

select *
from final
