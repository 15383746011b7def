{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="call_key",
        on_schema_change="fail",
        post_hook="{{ remaining_portions_of_calls() }}",
    )
}}

{{ merged_calls(0, portions_of_calls() | int) }}
