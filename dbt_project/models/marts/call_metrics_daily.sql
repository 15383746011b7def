with

    calls as (
        select
            *,
            cast(coalesce(call_moment, first_received_at) as date) as call_date,
            coalesce(agent_id, 'unknown') as agent
        from {{ ref("int_call_outcomes") }}
    ),

    final as (
        select
            call_date || ':' || source || ':' || agent as day_key,
            call_date,
            source,
            agent as agent_id,
            count(*) as call_count,
            cast(sum(case when direction = 'inbound' then 1 else 0 end) as bigint) as inbound_call_count,
            cast(sum(case when direction = 'outbound' then 1 else 0 end) as bigint) as outbound_call_count,
            cast(sum(case when is_resolved then 1 else 0 end) as bigint) as resolved_call_count,
            cast(sum(case when not is_resolved then 1 else 0 end) as bigint) as unresolved_call_count,
            cast(sum(case when is_transfer_requested then 1 else 0 end) as bigint) as transfer_request_count,
            cast(sum(case when needs_follow_up then 1 else 0 end) as bigint) as follow_up_count,
            cast(sum(case when is_vip then 1 else 0 end) as bigint) as vip_call_count,
            count(satisfaction_score) as rated_call_count,
            cast(sum(satisfaction_score) as bigint) as satisfaction_sum,
            avg(satisfaction_score) as average_satisfaction,
            {{ exact_sum("duration_seconds") }} as duration_seconds_sum,
            cast(sum(turn_count) as bigint) as turn_count
        from calls
        group by call_date, source, agent
    )

select *
from final
