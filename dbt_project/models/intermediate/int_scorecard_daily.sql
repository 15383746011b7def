{{
    config(
        materialized="incremental",
        incremental_strategy="by_period",
        period_column="period_start",
        period="day",
        tags=["pass", "by_day"],
        on_schema_change="fail",
    )
}}

{{ scorecard("day") }}
