with

    facts as (select * from {{ ref("int_calls_measured") }}),

    final as (
        select
            call_key,
            source,
            call_id,
            call_date,
            turn_count,
            agent_turn_count,
            customer_turn_count,
            {{ share("agent_characters", "(agent_characters + customer_characters)") }} as agent_talk_share,
            agent_talk_seconds,
            customer_talk_seconds,
            silence_seconds,
            longest_pause_seconds,
            last_speaker,
            is_dropped_off,
            drop_off_turn
        from facts
    )

select *
from final
