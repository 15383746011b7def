{# Every number about calls, defined once. Models that count calls take their columns from here; what each means, with its edge
   cases, stands in models/_metrics.md under the same name. All read the columns of `int_calls_measured` and `int_calls_repeats_marked`. #}
{# Counts, which add up over rows: name and the condition under which a call counts. #}
{% macro call_counts() -%}
    {{
        return(
            [
                ("call_count", "true"),
                ("inbound_call_count", "direction = 'inbound'"),
                ("outbound_call_count", "direction = 'outbound'"),
                ("ended_call_count", "answer_status <> 'open'"),
                ("answered_call_count", "answer_status = 'answered'"),
                ("abandoned_call_count", "answer_status = 'abandoned'"),
                (
                    "unreached_call_count",
                    "answer_status in ('no_answer', 'busy', 'declined', 'voicemail', 'cancelled')",
                ),
                ("failed_call_count", "answer_status = 'failed'"),
                ("contained_call_count", "is_contained"),
                ("transferred_call_count", "is_transferred"),
                ("transfer_request_count", "is_transfer_requested"),
                ("dropped_off_call_count", "is_dropped_off"),
                ("resolved_call_count", "is_resolved"),
                ("unresolved_call_count", "not is_resolved"),
                ("first_contact_count", "is_first_call_resolved is not null"),
                ("first_call_resolved_count", "is_first_call_resolved"),
                ("repeat_call_count", "is_repeat_call"),
                ("follow_up_count", "needs_follow_up"),
                ("vip_call_count", "is_vip"),
                ("rated_call_count", "satisfaction_score is not null"),
                ("rated_1_count", "satisfaction_score = 1"),
                ("rated_2_count", "satisfaction_score = 2"),
                ("rated_3_count", "satisfaction_score = 3"),
                ("rated_4_count", "satisfaction_score = 4"),
                ("rated_5_count", "satisfaction_score = 5"),
                ("positive_call_count", "sentiment = 'positive'"),
                ("neutral_call_count", "sentiment = 'neutral'"),
                ("negative_call_count", "sentiment = 'negative'"),
                ("handled_call_count", "answer_status = 'answered' and duration_seconds is not null"),
            ]
        )
    }}
{%- endmacro %}

{# One count of a group of calls; for models that show a few. `only`: a further condition, such as that a call began here. #}
{% macro count_of(name, only="true") -%}
    cast(sum(case when {{ only }} and ({{ dict(call_counts())[name] }}) then 1 else 0 end) as bigint)
{%- endmacro %}

{% macro satisfaction_sum(only="true") -%}
    cast(coalesce(sum(case when {{ only }} then satisfaction_score end), 0) as bigint)
{%- endmacro %}

{# All counts of a group of calls, as columns. #}
{% macro count_columns(only="true") -%}
    {%- for name, _ in call_counts() %} {{ count_of(name, only) }} as {{ name }}, {%- endfor %}
    {{ satisfaction_sum(only) }} as satisfaction_sum,
    coalesce(
        {{ decimal_sum("case when " ~ only ~ " and answer_status = 'answered' then duration_seconds end") }}, 0
    ) as handle_seconds_sum,
    cast(coalesce(sum(case when {{ only }} then turn_count end), 0) as bigint) as turn_count
{%- endmacro %}

{# What does not add up over rows, for scorecards: of a period's own calls. Repeat callers, and how conversations went. #}
{% macro conversation_columns() -%}
    cast(
        count(distinct case when is_repeat_call is not null then customer_phone end) as bigint
    ) as caller_count,
    cast(count(distinct case when is_repeat_call then customer_phone end) as bigint) as repeat_caller_count,
    {{ share("sum(agent_characters)", "sum(agent_characters + customer_characters)") }} as agent_talk_share,
    {%- for side in ["agent", "customer"] %}
        {{ share("sum(" ~ side ~ "_turn_count)", "sum(case when turn_count > 0 then 1 else 0 end)") }}
        as average_{{ side }}_turns,
    {%- endfor %}
    {{ share(decimal_sum("silence_seconds"), "count(silence_seconds)") }} as average_silence_seconds,
    max(longest_pause_seconds) as max_pause_seconds
{%- endmacro %}

{# Rates of the counts in a row; null where nothing could count. #}
{% macro call_rates() -%}
    {%- set attempted -%}
        (answered_call_count + abandoned_call_count + unreached_call_count + failed_call_count)
    {%- endset -%}
    {{
        return(
            [
                ("answer_rate", "answered_call_count", attempted),
                ("no_answer_rate", "unreached_call_count", attempted),
                (
                    "abandonment_rate",
                    "abandoned_call_count",
                    "(answered_call_count + abandoned_call_count)",
                ),
                ("containment_rate", "contained_call_count", "answered_call_count"),
                ("transfer_rate", "transfer_request_count", "call_count"),
                ("resolution_rate", "resolved_call_count", "(resolved_call_count + unresolved_call_count)"),
                ("first_call_resolution_rate", "first_call_resolved_count", "first_contact_count"),
                ("repeat_call_rate", "repeat_call_count", "answered_call_count"),
                ("drop_off_rate", "dropped_off_call_count", "(answered_call_count + abandoned_call_count)"),
                ("csat", "(rated_4_count + rated_5_count)", "rated_call_count"),
                ("average_satisfaction", "satisfaction_sum", "rated_call_count"),
                ("average_handle_seconds", "handle_seconds_sum", "handled_call_count"),
            ]
        )
    }}
{%- endmacro %}

{# One of these, for models that show a few. #}
{% macro rate_of(name) -%}
    {%- for rate, part, whole in call_rates() if rate == name %} {{ share(part, whole) }}{% endfor -%}
{%- endmacro %}

{% macro rate_columns() -%}
    {%- for name, part, whole in call_rates() %}
        {{ share(part, whole) }} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A part of a whole, 0 to 1; null where the whole is nothing. #}
{% macro share(part, whole) -%} cast({{ part }} as double) / nullif({{ whole }}, 0) {%- endmacro %}

{# The value below which a share of the rows lies, between two rows in proportion. #}
{% macro percentile(column, part) -%}
    percentile_cont({{ part }}) within group (order by {{ column }})
{%- endmacro %}

{# As CTEs, the last of them `calls`: the facts of calls on the days (or weeks) to be counted anew, each with whether it repeats
   another and is repeated. Both tables are asked by the day: else the database reads what is said of every call ever. #}
{% macro counted_calls(period="day", also_before=false) -%}
    touched_facts as (
        select * from {{ ref("int_calls_measured") }} where {{ affected_day_filter("call_date", period, also_before) }}
    ),

    touched_repeats as (
        select *
        from {{ ref("int_calls_repeats_marked") }}
        where {{ affected_day_filter("call_date", period, also_before) }}
    ),

    calls as (
        select
            facts.*,
            repeats.is_repeat_call,
            repeats.is_first_call_resolved,
            greatest(facts.last_loaded_at, repeats.judged_through) as loaded_at
        from touched_facts as facts
        left join touched_repeats as repeats on facts.call_key = repeats.call_key
    )
{%- endmacro %}

{# A scorecard: all metrics of each day or week, over all calls and along one dimension at a time. #}
{% macro scorecard(period) -%}
    {%- set dimensions = [
        ("source", "source"),
        ("agent", "source || ':' || agent_id"),
        ("direction", "direction"),
        ("issue_type", "issue_type"),
    ] -%}
    with

        {{ counted_calls(period) }},

        described as (
            select
                *,
                cast({{ dbt.date_trunc(period, "call_date") }} as date) as period_start,
                {% for name, value in dimensions %} {{ value }} as by_{{ name }}, {% endfor %}
                case when answer_status = 'answered' then duration_seconds end as handle_seconds
            from calls
        ),

        counted as (
            select
                period_start,
                case
                    {% for name, _ in dimensions %}
                        when grouping(by_{{ name }}) = 0 then '{{ name }}'
                    {% endfor %}
                    else 'all'
                end as dimension,
                coalesce({% for name, _ in dimensions %}by_{{ name }}, {% endfor %} 'all') as dimension_value,
                {{ count_columns() }},
                {{ conversation_columns() }},
                {{ percentile("handle_seconds", 0.5) }} as handle_seconds_p50,
                {{ percentile("handle_seconds", 0.9) }} as handle_seconds_p90,
                {{ percentile("handle_seconds", 0.95) }} as handle_seconds_p95,
                {{ high_water_mark("loaded_at") }} as last_loaded_at
            from described
            group by
                grouping sets (
                    (period_start){% for name, _ in dimensions %}, (period_start, by_{{ name }}){% endfor %}
                )
        ),

        final as (
            select
                period_start || ':' || dimension || ':' || dimension_value as scorecard_key,
                *,
                {{ rate_columns() }},
                {{ share("repeat_caller_count", "caller_count") }} as repeat_caller_rate
            from counted
        )

    select *
    from final
{%- endmacro %}

{# A scorecard with what changed against the same period a week before: the same weekday, or the week. #}
{% macro scorecard_beside_the_week_before(scorecard) -%}
    with

        counted as (select * from {{ scorecard }}),

        final as (
            select
                counted.*,
                before.call_count as call_count_week_before,
                before.csat as csat_week_before,
                counted.csat - before.csat as csat_change,
                counted.average_satisfaction - before.average_satisfaction as average_satisfaction_change,
                counted.resolution_rate - before.resolution_rate as resolution_rate_change
            from counted
            left join
                counted as before
                on counted.period_start - 7 = before.period_start
                and counted.dimension = before.dimension
                and counted.dimension_value = before.dimension_value
        )

    select *
    from final
{%- endmacro %}
