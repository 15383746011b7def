{{
    config(
        materialized="incremental",
        incremental_strategy="by_period",
        period_column="call_date",
        on_schema_change="fail",
        tags=["pass", "by_day"],
    )
}}

with

    {{ counted_calls(also_before=true) }},

    quarters as (
        select *, {{ quarter_rows("began_at", "coalesce(line_ended_at, began_at)") }} as quarter_start
        from calls
    ),

    affected_quarters as (
        select
            *,
            began_at >= quarter_start as begins_in_quarter,
            {{ seconds_in_quarter("began_at", "line_ended_at", "quarter_start") }} as seconds_in_quarter
        from quarters
        where {{ affected_period_filter("cast(quarter_start as date)") }}
    ),

    final as (
        select
            {{ epoch_text("quarter_start") }}
            || ':'
            || {{ key_of(["source", "agent_id", "direction", "issue_type"]) }} as volume_key,
            quarter_start,
            {{ hour_of("quarter_start") }} as hour_start,
            cast(quarter_start as date) as call_date,
            {{ week_of("quarter_start") }} as week_start,
            source,
            agent_id,
            direction,
            issue_type,
            {{ count_columns("begins_in_quarter") }},
            coalesce({{ decimal_sum("seconds_in_quarter") }}, 0) as line_seconds,
            {{ high_water_mark("loaded_at") }} as last_loaded_at
        from affected_quarters
        group by quarter_start, source, agent_id, direction, issue_type
    )

select *
from final
