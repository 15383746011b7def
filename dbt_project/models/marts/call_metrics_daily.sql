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

    {{ counted_calls() }},

    counted as (
        select
            call_date,
            source,
            agent_id,
            {{ count_columns() }},
            {{ decimal_sum("duration_seconds") }} as duration_seconds_sum,
            {{ high_water_mark("loaded_at") }} as last_loaded_at
        from calls
        group by call_date, source, agent_id
    ),

    final as (
        select
            call_date || ':' || source || ':' || agent_id as day_key,
            *,
            {{ rate_of("average_satisfaction") }} as average_satisfaction
        from counted
    )

select *
from final
