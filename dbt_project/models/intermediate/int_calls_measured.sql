{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="call_key",
        on_schema_change="fail",
    )
}}

with

    interpreted as (
        select *, coalesce(call_moment, first_received_at) as began_at
        from {{ ref("int_calls_interpreted") }}
        where {{ incremental_filter("last_loaded_at", "last_loaded_at") }}
    ),

    -- Joins by the load time too, so that the database skips the transcripts of all other calls.
    spoken as (
        select
            calls.call_key,
            {{ turns_of_role("calls.turns", "agent") }} as agent_turn_count,
            {{ characters_of_role("calls.turns", "agent") }} as agent_characters,
            {{ characters_of_role("calls.turns", "customer") }} as customer_characters,
            {{ talk_seconds_of_role("calls.turns", "agent") }} as agent_talk_seconds,
            {{ talk_seconds_of_role("calls.turns", "customer") }} as customer_talk_seconds,
            list_sum({{ pauses("calls.turns") }}) as silence_seconds,
            list_max({{ pauses("calls.turns") }}) as longest_pause_seconds,
            {{ last_speaker("calls.turns") }} as last_speaker
        from {{ ref("int_calls_merged") }} as calls
        inner join
            interpreted
            on calls.call_key = interpreted.call_key
            and calls.last_loaded_at = interpreted.last_loaded_at
    ),

    counted as (
        select
            interpreted.*,
            coalesce(spoken.agent_turn_count, 0) as agent_turn_count,
            coalesce(spoken.agent_characters, 0) as agent_characters,
            coalesce(spoken.customer_characters, 0) as customer_characters,
            spoken.agent_talk_seconds,
            spoken.customer_talk_seconds,
            spoken.silence_seconds,
            spoken.longest_pause_seconds,
            spoken.last_speaker,
            {{ call_end("interpreted.began_at", "interpreted.ended_at", "interpreted.duration_seconds") }}
            as line_ended_at
        from interpreted
        left join spoken on interpreted.call_key = spoken.call_key
    ),

    left_early as (
        select
            *,
            answer_status = 'answered' as is_answered,
            answer_status = 'abandoned' as is_abandoned,
            case
                when answer_status = 'answered' then not (is_transferred or is_transfer_requested)
            end as is_contained,
            case
                when is_transferred or is_transfer_requested
                then coalesce({{ to_snake_case("transfer_reason_text") }}, 'not_said')
            end as transfer_reason,
            case
                when answer_status = 'abandoned'
                then true
                when answer_status = 'answered' and end_reason_category is not null
                then end_reason_category = 'customer_hung_up' and not coalesce(is_resolved, false)
            end as is_dropped_off
        from counted
    ),

    earlier as (
        {% if is_incremental() %}select call_key, dates from {{ this }}
        {% else %}select call_key, {{ no_dates() }} as dates from left_early where false
        {% endif %}
    ),

    final as (
        select
            left_early.call_key,
            left_early.source,
            left_early.call_id,
            coalesce(left_early.agent_id, 'unknown') as agent_id,
            coalesce(left_early.direction, 'unknown') as direction,
            left_early.issue_type,
            left_early.customer_phone,
            left_early.call_moment,
            left_early.began_at,
            left_early.line_ended_at,
            cast(left_early.began_at as date) as call_date,
            {{
                dates_with(
                    "earlier.dates",
                    "left_early.began_at",
                    "coalesce(left_early.line_ended_at, left_early.began_at)",
                )
            }} as dates,
            left_early.last_loaded_at,
            left_early.built_at,
            left_early.duration_seconds,
            left_early.turn_count,
            left_early.agent_turn_count,
            left_early.customer_turn_count,
            left_early.agent_characters,
            left_early.customer_characters,
            left_early.agent_talk_seconds,
            left_early.customer_talk_seconds,
            left_early.silence_seconds,
            left_early.longest_pause_seconds,
            left_early.last_speaker,
            left_early.end_reason,
            left_early.end_reason_category,
            left_early.is_ended_by_error,
            left_early.answer_status,
            -- One boolean per count of macros/metrics.sql: the only place that says when a call counts.
            coalesce(left_early.direction = 'inbound', false) as is_inbound,
            coalesce(left_early.direction = 'outbound', false) as is_outbound,
            left_early.answer_status <> 'open' as is_over,
            left_early.answer_status not in ('open', 'unknown') as is_attempted,
            left_early.is_answered or left_early.is_abandoned as is_connected,
            left_early.is_answered,
            left_early.is_abandoned,
            left_early.answer_status
            in ('no_answer', 'busy', 'declined', 'voicemail', 'cancelled') as is_unreached,
            left_early.answer_status = 'failed' as is_failed,
            left_early.is_answered and left_early.duration_seconds is not null as is_handled,
            case when left_early.is_answered then left_early.duration_seconds end as handle_seconds,
            left_early.is_transferred,
            left_early.is_transfer_requested,
            left_early.transfer_reason,
            left_early.is_contained,
            left_early.is_dropped_off,
            case when left_early.is_dropped_off then left_early.turn_count end as drop_off_turn,
            left_early.is_resolved,
            left_early.is_unresolved,
            left_early.is_resolved is not null as is_resolution_known,
            left_early.satisfaction_score,
            left_early.is_rated,
            {% for score in range(1, 6) %}
                coalesce(left_early.satisfaction_score = {{ score }}, false) as is_rated_{{ score }},
            {% endfor %}
            coalesce(left_early.satisfaction_score in (4, 5), false) as is_satisfied,
            left_early.sentiment,
            left_early.sentiment = 'positive' as is_positive,
            left_early.sentiment = 'neutral' as is_neutral,
            left_early.sentiment = 'negative' as is_negative,
            left_early.needs_follow_up,
            left_early.is_vip
        from left_early
        left join earlier on left_early.call_key = earlier.call_key
    )

select *
from final
