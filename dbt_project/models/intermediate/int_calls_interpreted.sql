{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="call_key",
        on_schema_change="fail",
    )
}}

with

    -- Without transcripts, variables and measures, because later models read this table for every call.
    calls as (
        select
            call_key,
            source,
            call_id,
            parent_call_id,
            event_count,
            has_start,
            has_end,
            has_analytics,
            is_ended,
            end_occurred_at,
            analytics_occurred_at,
            last_occurred_at,
            first_received_at,
            last_received_at,
            start_received_at,
            end_received_at,
            analytics_received_at,
            last_webhook_at,
            last_loaded_at,
            built_at,
            agent_id,
            direction,
            customer_phone,
            is_phone_verified,
            agent_phone,
            customer_name,
            customer_email,
            customer_language,
            customer_tier,
            email_consent_text,
            started_at,
            ended_at,
            duration_seconds,
            line_status,
            end_reason,
            disposition,
            issue_resolved_text,
            satisfaction_text,
            sentiment_text,
            follow_up_text,
            measured_transfer_text,
            asked_transfer_text,
            transfer_reason_text,
            issue_type_text,
            summary,
            is_summary_written,
            recording_url,
            dial_result,
            turn_count,
            customer_turn_count,
            has_speakers
        from {{ ref("int_calls_merged") }}
        where {{ incremental_filter("last_loaded_at", "last_loaded_at") }}
    ),

    sent_reasons as (select distinct source, end_reason from calls where end_reason is not null),

    -- The first matching pattern in the order of the seed wins.
    matched_reasons as (
        select
            sent_reasons.source,
            sent_reasons.end_reason,
            patterns.category,
            patterns.is_error,
            row_number() over (
                partition by sent_reasons.source, sent_reasons.end_reason order by patterns.position
            ) as match_number
        from sent_reasons
        inner join
            {{ ref("end_reason_patterns") }} as patterns
            on lower(sent_reasons.end_reason) like patterns.pattern
            and coalesce(patterns.source, sent_reasons.source) = sent_reasons.source
    ),

    categories as (
        select
            sent_reasons.source,
            sent_reasons.end_reason,
            coalesce(known.category, matched_reasons.category) as category,
            coalesce(known.is_error, matched_reasons.is_error) as is_error
        from sent_reasons
        left join
            {{ ref("end_reasons") }} as known
            on sent_reasons.source = known.source
            and lower(sent_reasons.end_reason) = known.end_reason
        left join
            matched_reasons
            on sent_reasons.source = matched_reasons.source
            and sent_reasons.end_reason = matched_reasons.end_reason
            and matched_reasons.match_number = 1
    ),

    dispositions as (select * from {{ ref("dispositions") }}),

    vips as (select distinct {{ to_e164("phone") }} as phone from {{ ref("vips") }}),

    read as (
        select
            calls.*,
            categories.category as end_reason_category,
            categories.is_error as is_ended_by_error,
            coalesce(
                calls.disposition = 'transferred' or categories.category = 'transferred', false
            ) as is_transferred,
            case
                when calls.line_status is not null
                then calls.line_status
                when calls.is_ended or calls.has_analytics
                then 'completed'
                when calls.has_start
                then 'in_progress'
                else 'unknown'
            end as status,
            {{ to_boolean("calls.issue_resolved_text") }} as reported_resolved,
            dispositions.is_resolved as mapped_resolved,
            case
                when {{ to_number("calls.satisfaction_text") }} in (1, 2, 3, 4, 5)
                then cast({{ to_number("calls.satisfaction_text") }} as integer)
            end as satisfaction_score,
            case
                when lower(calls.sentiment_text) in ('positive', 'neutral', 'negative')
                then lower(calls.sentiment_text)
            end as reported_sentiment,
            coalesce(calls.disposition = 'transferred', false)
            or coalesce({{ to_boolean("calls.measured_transfer_text") }}, false)
            or coalesce({{ to_boolean("calls.asked_transfer_text") }}, false) as is_transfer_requested,
            coalesce({{ to_boolean("calls.follow_up_text") }}, false) as needs_follow_up,
            coalesce(
                {{ to_snake_case("calls.issue_type_text") }}, '{{ var("default_issue_type") }}'
            ) as issue_type,
            coalesce(calls.customer_tier = 'vip', false) or vips.phone is not null as is_vip
        from calls
        left join dispositions on calls.disposition = dispositions.disposition
        left join vips on calls.customer_phone = vips.phone
        left join categories on calls.source = categories.source and calls.end_reason = categories.end_reason
    ),

    -- The platform's own word for whom the dial reached wins over the transcript, which may hold what a
    -- machine said. The reason why the call ended does not.
    answered as (
        select
            *,
            case
                when not (is_ended or has_analytics)
                then 'open'
                when dial_result <> 'person'
                then dial_result
                when end_reason_category = 'voicemail'
                then 'voicemail'
                when {{ to_dial_result("disposition") }} in ('voicemail', 'no_answer')
                then {{ to_dial_result("disposition") }}
                when customer_turn_count > 0
                then 'answered'
                when end_reason_category in ('no_answer', 'busy', 'declined', 'cancelled', 'failed')
                then end_reason_category
                when status in ('no_answer', 'busy', 'cancelled', 'failed')
                then status
                -- A transcript that does not say who spoke says nothing about the customer.
                when has_speakers
                then 'abandoned'
                when duration_seconds <= {{ var("abandoned_within_seconds") }}
                then 'abandoned'
                when duration_seconds is not null or has_analytics
                then 'answered'
                else 'unknown'
            end as answer_status
        from read
    ),

    -- True if somebody spoke with the customer; null while nothing says.
    reached as (
        select
            *,
            case
                when answer_status = 'answered'
                then true
                when answer_status not in ('open', 'unknown')
                then false
            end as is_reached
        from answered
    ),

    interpreted as (
        select
            *,
            -- The disposition of a call that reached nobody says nothing about an issue.
            coalesce(
                reported_resolved, case when is_reached is not false then mapped_resolved end
            ) as is_resolved,
            coalesce(
                reported_sentiment,
                case
                    when satisfaction_score >= {{ var("happy_min_score") }}
                    then 'positive'
                    when satisfaction_score <= {{ var("unhappy_max_score") }}
                    then 'negative'
                    when satisfaction_score is not null
                    then 'neutral'
                end,
                'unknown'
            ) as sentiment,
            satisfaction_score <= {{ var("unhappy_max_score") }} as is_unhappy,
            satisfaction_score >= {{ var("happy_min_score") }} as is_happy
        from reached
    ),

    final as (
        select
            *,
            not is_resolved as is_unresolved,
            satisfaction_score is not null as is_rated,
            coalesce(started_at, ended_at, last_occurred_at) as call_moment,
            {{ sort_key_timestamp("coalesce(started_at, ended_at, last_occurred_at)") }}
            || '-'
            || call_key as call_order,
            case
                case sentiment when 'negative' then 3 when 'positive' then 1 else 2 end
                + case when is_transfer_requested then 1 else 0 end
                when 1
                then 'low'
                when 2
                then 'normal'
                when 3
                then 'high'
                else 'urgent'
            end as priority,
            case
                when not has_analytics
                then null
                when is_unhappy
                then 'apology_escalation'
                when not is_resolved
                then 'additional_resources'
                when is_happy and is_resolved
                then 'thank_you'
            end as email_template
        from interpreted
    )

select *
from final
