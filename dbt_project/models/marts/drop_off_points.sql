with

    talked as (
        select
            source,
            agent_id,
            issue_type,
            case
                when turn_count < {{ var("drop_off_last_turn") }}
                then turn_count
                else {{ var("drop_off_last_turn") }}
            end as turn_number,
            is_dropped_off
        from {{ ref("int_calls_measured") }}
        where is_dropped_off is not null
    ),

    counted as (
        select
            source,
            agent_id,
            issue_type,
            turn_number,
            count(*) as conversation_count,
            cast(sum(case when is_dropped_off then 1 else 0 end) as bigint) as dropped_off_call_count
        from talked
        group by source, agent_id, issue_type, turn_number
    ),

    -- How many calls came as far as this turn, and how many customers left at it.
    final as (
        select
            {{ key_of(["source", "agent_id", "issue_type"]) }} || ':' || turn_number as drop_off_key,
            source,
            agent_id,
            issue_type,
            cast(turn_number as integer) as turn_number,
            cast(
                sum(conversation_count) over (
                    partition by source, agent_id, issue_type
                    order by turn_number desc
                    rows between unbounded preceding and current row
                ) as bigint
            ) as reached_call_count,
            conversation_count,
            dropped_off_call_count
        from counted
    )

select *
from final
