with

    calls as (select * from {{ ref("int_calls_interpreted") }} where agent_id is not null),

    counted as (
        select
            source,
            agent_id,
            {{ count_of("call_count") }} as call_count,
            {{ count_of("resolved_call_count") }} as resolved_call_count,
            {{ count_of("unresolved_call_count") }} as unresolved_call_count,
            {{ count_of("transfer_request_count") }} as transfer_request_count,
            {{ count_of("rated_call_count") }} as rated_call_count,
            {{ satisfaction_sum() }} as satisfaction_sum,
            {{ decimal_sum("duration_seconds") }} / count(duration_seconds) as average_duration_seconds,
            min(call_moment) as first_call_at,
            max(call_moment) as last_call_at
        from calls
        group by source, agent_id
    ),

    final as (
        select
            source || ':' || agent_id as agent_key,
            source,
            agent_id,
            call_count,
            resolved_call_count,
            unresolved_call_count,
            transfer_request_count,
            {{ rate_of("average_satisfaction") }} as average_satisfaction,
            average_duration_seconds,
            first_call_at,
            last_call_at
        from counted
    )

select *
from final
