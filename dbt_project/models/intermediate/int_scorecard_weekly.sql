{{
    config(
        materialized="incremental",
        incremental_strategy="by_period",
        period_column="period_start",
        period="week",
        tags=["pass", "by_day"],
        on_schema_change="fail",
    )
}}

{{ scorecard("week") }}
