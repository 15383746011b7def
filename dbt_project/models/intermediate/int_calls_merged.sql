{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="call_key",
        on_schema_change="fail",
        post_hook="{{ insert_remaining_portions() }}",
    )
}}
{%- set rules = phone_rules() %}

with

    affected_calls as (
        select distinct call_key
        from {{ ref("int_events_unioned") }}
        where
            call_key is not null
            and {{ incremental_filter("loaded_at", "last_loaded_at") }}
            and {{ is_in_first_portion("call_key") }}
    ),

    -- Narrow columns first, so that the database can skip the transcripts of all other calls by the load
    -- time.
    -- `recency` orders the events of a call: the last one wins.
    affected_events as (
        select
            events.event_key,
            events.loaded_at,
            row_number() over (
                partition by events.call_key
                order by
                    events.event_rank, events.occurred_at nulls first, events.received_at, events.event_key
            ) as recency
        from {{ ref("int_events_unioned") }} as events
        inner join affected_calls on events.call_key = affected_calls.call_key
    ),

    events as (
        select events.*, affected_events.recency
        from {{ ref("int_events_unioned") }} as events
        inner join
            affected_events
            on events.loaded_at = affected_events.loaded_at
            and events.event_key = affected_events.event_key
    ),

    -- For platforms that report each leg. If a leg rang and was then answered, the later start counts.
    legs as (
        select
            call_key,
            leg_id,
            min(coalesce(started_at, occurred_at, received_at)) as came_at,
            max(started_at) as joined_at,
            max(ended_at) as left_at,
            max(customer_phone) as customer_phone
        from events
        where leg_id is not null
        group by call_key, leg_id
    ),

    -- The customer is on the first leg; whoever was added later is not the customer.
    first_legs as (
        select
            call_key,
            {{ value_of_first("leg_id", "came_at", "leg_id") }} as first_leg_id,
            {{ value_of_first("customer_phone", "came_at", "leg_id") }} as first_leg_phone,
            count(joined_at) as leg_count,
            min(joined_at) as first_joined_at,
            max(case when joined_at is not null then left_at end) as last_left_at,
            count(joined_at) = count(case when joined_at is not null then left_at end) as has_everybody_left
        from legs
        group by call_key
    ),

    counted_events as (
        select
            events.*,
            first_legs.leg_count,
            first_legs.first_joined_at,
            first_legs.last_left_at,
            first_legs.has_everybody_left,
            coalesce(events.event_id like 'recovered:%', false) as is_recovered,
            events.leg_id is null or events.leg_id = first_legs.first_leg_id as is_first_leg,
            events.leg_id is null
            or events.leg_id = first_legs.first_leg_id
            or coalesce(events.customer_phone = first_legs.first_leg_phone, false) as is_first_person
        from events
        left join first_legs on events.call_key = first_legs.call_key
    ),

    merged as (
        select
            call_key,
            min(source) as source,
            min(call_id) as call_id,
            count(*) as event_count,
            max(case when event_type = 'call.start' then 1 else 0 end) = 1 as has_start,
            max(case when ends_call then 1 else 0 end) = 1 as has_end,
            max(case when event_type = 'analytics.completed' then 1 else 0 end) = 1 as has_analytics,
            max(case when ends_call then occurred_at end) as end_occurred_at,
            max(case when event_type = 'analytics.completed' then occurred_at end) as analytics_occurred_at,
            max(occurred_at) as last_occurred_at,
            min(received_at) as first_received_at,
            max(received_at) as last_received_at,
            min(case when event_type = 'call.start' then received_at end) as start_received_at,
            min(case when ends_call then received_at end) as any_end_received_at,
            min(case when ends_call and not is_recovered then received_at end) as end_webhook_at,
            min(
                case when event_type = 'analytics.completed' then received_at end
            ) as any_analytics_received_at,
            min(
                case when event_type = 'analytics.completed' and not is_recovered then received_at end
            ) as analytics_webhook_at,
            max(case when not is_recovered then received_at end) as last_webhook_at,
            max(loaded_at) as last_loaded_at,
            {{ latest_value("agent_id") }} as agent_id,
            {{ latest_value("case when is_first_leg then direction end") }} as direction,
            {{ latest_value("case when is_first_leg then customer_phone end") }} as reported_customer_phone,
            {{ latest_value("case when is_first_leg then agent_phone end") }} as reported_agent_phone,
            {{ latest_value("from_phone") }} as from_phone,
            {{ latest_value("to_phone") }} as to_phone,
            {{ latest_value("case when leg_id is null then started_at end") }} as reported_started_at,
            {{ latest_value("case when leg_id is null then ended_at end") }} as reported_ended_at,
            {{ latest_value("duration_seconds") }} as reported_duration_seconds,
            max(leg_count) as leg_count,
            max(first_joined_at) as first_joined_at,
            max(last_left_at) as last_left_at,
            coalesce(bool_or(has_everybody_left), false) as has_everybody_left,
            {{ latest_value("parent_call_id") }} as parent_call_id,
            {{ latest_value("line_status") }} as line_status,
            {{ latest_value("dial_result") }} as reported_dial_result,
            {{ latest_value("end_reason") }} as end_reason,
            {{ latest_value("disposition") }} as reported_disposition,
            {{ latest_value("summary") }} as reported_summary,
            {{ latest_value("case when event_type = 'analytics.completed' then summary end") }}
            as analytics_summary,
            {{ latest_value("recording_url") }} as recording_url,
            {{ latest_value("case when turns is not null then event_key end") }} as turns_event_key,
            {{ latest_of_each_name("case when is_first_person then variables end") }} as variables,
            cast(coalesce(sum(names_left_out), 0) as bigint) as names_left_out
        from counted_events
        group by call_key
    ),

    sent_measures as (
        select
            call_key,
            source,
            recency,
            {{ list_positions("metrics") }} as place,
            {{ list_rows("metrics") }} as measure
        from events
    ),

    -- Per name: every measure of the latest event that has a value for it; without any value, those of the
    -- latest event. In the order sent, those without a value last.
    latest_measures as (
        select
            *,
            coalesce(
                max(case when measure.value is not null then recency end) over same_name,
                max(recency) over same_name
            ) as latest_recency
        from sent_measures
        window same_name as (partition by call_key, measure.name)
    ),

    measured as (
        select
            call_key,
            source,
            {{ to_snake_case("measure.name") }} as spelling,
            measure.name as spelled,
            measure,
            row_number() over (
                partition by call_key, measure.name order by measure.value is null, place
            ) as measure_number
        from latest_measures
        where recency = latest_recency
    ),

    measures_of_calls as (
        select call_key, {{ list_of_measures("spelled", "measure_number", "measure") }} as metrics
        from measured
        group by call_key
    ),

    measures_with_value as (
        select call_key, source, spelling, spelled, measure_number, measure
        from measured
        where trim(measure.value) <> ''
    ),

    -- Several measures can have one canonical name. The platform's own row in the seed wins, then the measure
    -- that is spelled so, then the first by spelling, then the first of its event.
    named as (
        select
            measures_with_value.call_key,
            {{ canonical_measure("measures_with_value.spelling", "measures_with_value.spelled") }}
            as canonical_measure,
            measures_with_value.measure,
            row_number() over (
                partition by
                    measures_with_value.call_key,
                    {{ canonical_measure("measures_with_value.spelling", "measures_with_value.spelled") }}
                order by
                    case
                        when own_names.canonical_measure is not null
                        then 0
                        when
                            measures_with_value.spelled
                            = {{
                                canonical_measure(
                                    "measures_with_value.spelling", "measures_with_value.spelled"
                                )
                            }}
                        then 1
                        else 2
                    end,
                    measures_with_value.spelled,
                    measures_with_value.measure_number
            ) as choice
        from measures_with_value {{ join_canonical_measures("measures_with_value") }}
    ),

    canonical as (
        select call_key, {{ map_of_pairs("canonical_measure", "measure") }} as canonical_metrics
        from named
        where choice = 1
        group by call_key
    ),

    -- Joins transcripts instead of merging them: an aggregate would hold all of them in memory.
    transcribed as (
        select merged.*, measures_of_calls.metrics, canonical.canonical_metrics, events.turns
        from merged
        left join measures_of_calls on merged.call_key = measures_of_calls.call_key
        left join canonical on merged.call_key = canonical.call_key
        left join events on merged.turns_event_key = events.event_key
    ),

    -- A call with legs lasts from the first joining to the last leaving. While a leg has not ended, the end
    -- of
    -- the call's own event counts. An end before the start is dropped.
    joined as (
        select
            * exclude (reported_started_at, reported_ended_at),
            coalesce(first_joined_at, reported_started_at) as reported_started_at,
            case
                when coalesce(reported_ended_at, last_left_at) is null
                then null
                when has_everybody_left
                then last_left_at
                else coalesce(reported_ended_at, last_left_at)
            end as last_ended_at
        from transcribed
    ),

    bounded as (
        select
            *,
            case
                when last_ended_at < reported_started_at then null else last_ended_at
            end as reported_ended_at
        from joined
    ),

    timed as (
        select
            * exclude (reported_duration_seconds),
            coalesce(
                reported_started_at, {{ seconds_after("reported_ended_at", "-reported_duration_seconds") }}
            ) as started_at,
            coalesce(
                reported_ended_at,
                case
                    when has_end then {{ seconds_after("reported_started_at", "reported_duration_seconds") }}
                end
            ) as ended_at,
            coalesce(
                analytics_summary,
                {{ measure(["summary", "call_summary"]) }},
                reported_summary,
                {{ variable(["summary"]) }}
            ) as written_summary,
            case
                when leg_count > 1
                then {{ seconds_between("reported_started_at", "reported_ended_at") }}
                else reported_duration_seconds
            end as reported_duration_seconds
        from bounded
    ),

    final as (
        select
            call_key,
            source,
            call_id,
            parent_call_id,
            event_count,
            has_start,
            has_end,
            has_analytics,
            has_end or ended_at is not null as is_ended,
            end_occurred_at,
            analytics_occurred_at,
            last_occurred_at,
            first_received_at,
            last_received_at,
            start_received_at,
            -- Recovered events of a call whose start never came are history, not news.
            case when has_start then any_end_received_at else end_webhook_at end as end_received_at,
            case
                when has_start then any_analytics_received_at else analytics_webhook_at
            end as analytics_received_at,
            last_webhook_at,
            last_loaded_at,
            {{ built_at() }} as built_at,
            agent_id,
            direction,
            coalesce(
                reported_customer_phone,
                case direction when 'inbound' then from_phone when 'outbound' then to_phone end,
                {{ to_e164(variable(["user_number"]), rules) }}
            ) as customer_phone,
            coalesce(
                reported_agent_phone,
                case direction when 'inbound' then to_phone when 'outbound' then from_phone end,
                {{ to_e164(variable(["agent_number"]), rules) }}
            ) as agent_phone,
            -- True if the number came from the telephone network, or from variables of a call that came by
            -- it.
            -- On a web page anybody can claim any number.
            coalesce(direction, 'unknown') <> 'web'
            and (
                reported_customer_phone is not null or coalesce(direction in ('inbound', 'outbound'), false)
            ) as is_phone_verified,
            {{
                to_name(
                    variable(
                        [
                            "customer_name",
                            "customerName",
                            "caller_name",
                            "user_name",
                            "full_name",
                            "name",
                        ]
                    )
                )
            }} as customer_name,
            {{
                email_variable(
                    [
                        "customer_email",
                        "customerEmail",
                        "caller_email",
                        "user_email",
                        "email_address",
                        "email",
                    ]
                )
            }} as customer_email,
            {{ variable(["language", "default_language"]) }} as customer_language,
            lower({{ variable(["customer_tier", "customerTier"]) }}) as customer_tier,
            {{ variable(["email_consent", "emailConsent", "consent_to_email", "email_opt_in"]) }}
            as email_consent_text,
            started_at,
            ended_at,
            coalesce(
                reported_duration_seconds,
                case when ended_at >= started_at then {{ seconds_between("started_at", "ended_at") }} end
            ) as duration_seconds,
            line_status,
            -- The platform's own field wins. `person` comes last, because a measure may know that the person
            -- was a machine.
            coalesce(
                nullif(reported_dial_result, 'person'),
                case when {{ to_boolean(measure(["in_voicemail"])) }} then 'voicemail' end,
                {{ to_dial_result_of_line(measure(["answered_by"])) }},
                case
                    when
                        not {{ to_boolean(measure(["answered_by_human"])) }}
                        and line_status not in ('failed', 'cancelled')
                    then 'voicemail'
                end,
                reported_dial_result
            ) as dial_result,
            end_reason,
            coalesce(
                {{ to_snake_case(measure(["call_outcome", "disposition"])) }}, reported_disposition
            ) as disposition,
            {{ measure(["issue_resolved"]) }} as issue_resolved_text,
            {{ measure(["satisfaction_score"]) }} as satisfaction_text,
            {{ measure(["sentiment"]) }} as sentiment_text,
            {{ measure(["follow_up_needed"]) }} as follow_up_text,
            {{ measure(["transfer_requested"]) }} as measured_transfer_text,
            {{ variable(["transfer_requested"]) }} as asked_transfer_text,
            coalesce(
                {{ measure(["transfer_reason"]) }}, {{ variable(["transfer_reason"]) }}
            ) as transfer_reason_text,
            coalesce(
                {{ measure(["issue_type", "issue_category"]) }}, {{ variable(["issue_type"]) }}
            ) as issue_type_text,
            coalesce(written_summary, {{ opening_of("turns") }}) as summary,
            written_summary is not null as is_summary_written,
            recording_url,
            turns,
            coalesce({{ list_length("turns") }}, 0) as turn_count,
            coalesce({{ turns_of_role("turns", "customer") }}, 0) as customer_turn_count,
            {{ has_speakers("turns") }} as has_speakers,
            names_left_out,
            variables,
            metrics
        from timed
    )

select *
from final
