{{ config(tags=["by_day"]) }}

with

    counted as (
        select * exclude (period, scorecard_key) from {{ ref("int_scorecards_counted") }} where period = 'day'
    ),

    final as (
        select
            counted.period_start
            || ':'
            || counted.dimension
            || ':'
            || counted.dimension_value as scorecard_key,
            counted.*,
            earlier.call_count as call_count_week_before,
            earlier.csat as csat_week_before,
            counted.csat - earlier.csat as csat_change,
            counted.average_satisfaction - earlier.average_satisfaction as average_satisfaction_change,
            counted.resolution_rate - earlier.resolution_rate as resolution_rate_change
        from counted
        left join
            counted as earlier
            on counted.period_start - 7 = earlier.period_start
            and counted.dimension = earlier.dimension
            and counted.dimension_value = earlier.dimension_value
    )

select *
from final
