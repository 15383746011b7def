{{
    config(
        materialized="incremental",
        incremental_strategy="by_period",
        period_column="call_date",
        on_schema_change="fail",
        tags=["pass", "by_day"],
    )
}}

{%- set dimensions = [
    ("all", "'all'"),
    ("source", "source"),
    ("agent", "source || ':' || agent_id"),
    ("direction", "direction"),
    ("issue_type", "issue_type"),
] %}

-- depends_on: {{ ref("int_calls_repeats_marked") }}
with

    calls as (
        select *
        from {{ ref("int_calls_measured") }}
        where line_ended_at > began_at and {{ affected_day_filter("call_date", also_before=true) }}
    ),

    quarters as (select *, {{ quarter_rows("began_at", "line_ended_at") }} as quarter_start from calls),

    affected_quarters as (
        select
            *,
            greatest(began_at, quarter_start) as joined_at,
            least(line_ended_at, {{ seconds_after("quarter_start", 900) }}) as left_at
        from quarters
        where {{ affected_period_filter("cast(quarter_start as date)") }}
    ),

    sliced as (
        {% for name, value in dimensions %}
            select
                quarter_start,
                '{{ name }}' as dimension,
                {{ value }} as dimension_value,
                joined_at,
                left_at,
                last_loaded_at
            from affected_quarters {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    steps as (
        select
            quarter_start,
            dimension,
            dimension_value,
            joined_at as stepped_at,
            1 as step,
            {{ seconds_between("joined_at", "left_at") }} as seconds,
            last_loaded_at
        from sliced
        union all
        select quarter_start, dimension, dimension_value, left_at, -1 as step, 0 as seconds, last_loaded_at
        from sliced
    ),

    -- A call that ends as another begins does not overlap it: steps down come first.
    levels as (
        select
            *,
            sum(step) over (
                partition by quarter_start, dimension, dimension_value
                order by stepped_at, step
                rows between unbounded preceding and current row
            ) as level
        from steps
    ),

    final as (
        select
            {{ epoch_text("quarter_start") }}
            || ':'
            || dimension
            || ':'
            || dimension_value as concurrency_key,
            quarter_start,
            {{ hour_of("quarter_start") }} as hour_start,
            cast(quarter_start as date) as call_date,
            {{ week_of("quarter_start") }} as week_start,
            dimension,
            dimension_value,
            cast(max(level) as bigint) as peak_concurrent_calls,
            {{ decimal_sum("seconds") }} / 900 as average_concurrent_calls,
            {{ high_water_mark("last_loaded_at") }} as last_loaded_at
        from levels
        group by quarter_start, dimension, dimension_value
    )

select *
from final
