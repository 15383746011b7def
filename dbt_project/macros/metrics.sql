{# Names of counts and rates over calls. When a call counts is a column of int_calls_measured or int_calls_repeats_marked. #}
{% macro call_counts() -%}
    {{
        return(
            {
                "call_count": "true",
                "inbound_call_count": "is_inbound",
                "outbound_call_count": "is_outbound",
                "ended_call_count": "is_over",
                "answered_call_count": "is_answered",
                "abandoned_call_count": "is_abandoned",
                "unreached_call_count": "is_unreached",
                "failed_call_count": "is_failed",
                "contained_call_count": "is_contained",
                "transferred_call_count": "is_transferred",
                "transfer_request_count": "is_transfer_requested",
                "dropped_off_call_count": "is_dropped_off",
                "resolved_call_count": "is_resolved",
                "unresolved_call_count": "is_unresolved",
                "first_contact_count": "is_first_contact",
                "first_call_resolved_count": "is_first_call_resolved",
                "repeat_call_count": "is_repeat_call",
                "follow_up_count": "needs_follow_up",
                "vip_call_count": "is_vip",
                "rated_call_count": "is_rated",
                "rated_1_count": "is_rated_1",
                "rated_2_count": "is_rated_2",
                "rated_3_count": "is_rated_3",
                "rated_4_count": "is_rated_4",
                "rated_5_count": "is_rated_5",
                "positive_call_count": "is_positive",
                "neutral_call_count": "is_neutral",
                "negative_call_count": "is_negative",
                "handled_call_count": "is_handled",
            }
        )
    }}
{%- endmacro %}

{% macro count_of(name, only=none) -%}
    cast(sum(case when {{ only ~ " and " if only }}{{ call_counts()[name] }} then 1 else 0 end) as bigint)
{%- endmacro %}

{% macro satisfaction_sum(only="true") -%}
    cast(coalesce(sum(case when {{ only }} then satisfaction_score end), 0) as bigint)
{%- endmacro %}

{% macro count_columns(only=none) -%}
    {%- for name in call_counts() %} {{ count_of(name, only) }} as {{ name }}, {%- endfor %}
    {{ satisfaction_sum(only or "true") }} as satisfaction_sum,
    coalesce(
        {{ decimal_sum("case when " ~ only ~ " then handle_seconds end" if only else "handle_seconds") }}, 0
    ) as handle_seconds_sum,
    cast(
        coalesce(
            sum({{ "case when " ~ only ~ " then turn_count end" if only else "turn_count" }}), 0
        ) as bigint
    ) as turn_count
{%- endmacro %}

{% macro conversation_columns() -%}
    cast(count(distinct case when is_contact then customer_phone end) as bigint) as caller_count,
    cast(count(distinct case when is_repeat_call then customer_phone end) as bigint) as repeat_caller_count,
    {{ share("sum(agent_characters)", "sum(agent_characters + customer_characters)") }} as agent_talk_share,
    {%- for side in ["agent", "customer"] %}
        {{ share("sum(" ~ side ~ "_turn_count)", "sum(case when turn_count > 0 then 1 else 0 end)") }}
        as average_{{ side }}_turns,
    {%- endfor %}
    {{ share(decimal_sum("silence_seconds"), "count(silence_seconds)") }} as average_silence_seconds,
    max(longest_pause_seconds) as max_pause_seconds
{%- endmacro %}

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

{% macro rate_of(name) -%}
    {%- for rate, part, whole in call_rates() if rate == name %} {{ share(part, whole) }}{% endfor -%}
{%- endmacro %}

{% macro rate_columns() -%}
    {%- for name, part, whole in call_rates() %}
        {{ share(part, whole) }} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro share(part, whole) -%} cast({{ part }} as double) / nullif({{ whole }}, 0) {%- endmacro %}

{% macro percentile(column, part) -%}
    percentile_cont({{ part }}) within group (order by {{ column }})
{%- endmacro %}

{% macro counted_calls(period="day", also_before=false) -%}
    touched_facts as (
        select *
        from {{ ref("int_calls_measured") }}
        where {{ affected_day_filter("call_date", period, also_before) }}
    ),

    touched_repeats as (
        select *
        from {{ ref("int_calls_repeats_marked") }}
        where {{ affected_day_filter("call_date", period, also_before) }}
    ),

    calls as (
        select
            facts.*,
            repeats.is_contact,
            repeats.is_repeat_call,
            repeats.is_first_contact,
            repeats.is_first_call_resolved,
            greatest(facts.last_loaded_at, repeats.judged_through) as loaded_at
        from touched_facts as facts
        left join touched_repeats as repeats on facts.call_key = repeats.call_key
    )
{%- endmacro %}
