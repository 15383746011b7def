{{
    config(
        materialized="incremental",
        incremental_strategy="by_period",
        period_column="period_start",
        period_name_column="period",
        tags=["pass", "by_day"],
        on_schema_change="fail",
    )
}}

{%- set dimensions = {
    "source": "source",
    "agent": "source || ':' || agent_id",
    "direction": "direction",
    "issue_type": "issue_type",
} %}

with

    {{ counted_calls("week") }},

    -- Each call counts to its day and to its week.
    calls_by_period as (
        select *, 'day' as period, call_date as period_start
        from calls
        where {{ affected_day_filter("call_date") }}
        union all
        select *, 'week' as period, {{ week_of("call_date") }} as period_start
        from calls
    ),

    described as (
        select
            *,
            {% for name, value in dimensions.items() %}
                {{ value }} as by_{{ name }} {{ "," if not loop.last }}
            {% endfor %}
        from calls_by_period
    ),

    counted as (
        select
            period,
            period_start,
            case
                {% for name in dimensions %} when grouping(by_{{ name }}) = 0 then '{{ name }}' {% endfor %}
                else 'all'
            end as dimension,
            coalesce({% for name in dimensions %}by_{{ name }}, {% endfor %} 'all') as dimension_value,
            {{ count_columns() }},
            {{ conversation_columns() }},
            {{ percentile("handle_seconds", 0.5) }} as handle_seconds_p50,
            {{ percentile("handle_seconds", 0.9) }} as handle_seconds_p90,
            {{ percentile("handle_seconds", 0.95) }} as handle_seconds_p95,
            {{ high_water_mark("loaded_at") }} as last_loaded_at
        from described
        group by
            grouping sets (
                (period, period_start)
                {% for name in dimensions %}, (period, period_start, by_{{ name }}) {% endfor %}
            )
    ),

    final as (
        select
            period || ':' || period_start || ':' || dimension || ':' || dimension_value as scorecard_key,
            *,
            {{ rate_columns() }},
            {{ share("repeat_caller_count", "caller_count") }} as repeat_caller_rate
        from counted
    )

select *
from final
