-- All marts count the same calls: calls, outcomes and days; customers for calls with a phone number.
{{ config(meta={"dagster": {"ref": {"name": "calls"}}}) }}

with

    counts as (
        select
            (select count(*) from {{ ref("int_calls_merged") }}) as known,
            (select count(*) from {{ ref("calls") }}) as in_calls,
            (select count(*) from {{ ref("call_outcomes") }}) as in_outcomes,
            (select coalesce(sum(call_count), 0) from {{ ref("call_metrics_daily") }}) as in_days,
            (select coalesce(sum(turn_count), 0) from {{ ref("calls") }}) as turns_of_calls,
            (select count(*) from {{ ref("call_turns") }}) as in_turns,
            (select count(*) from {{ ref("calls") }} where customer_phone is not null) as with_a_customer,
            (select coalesce(sum(call_count), 0) from {{ ref("customers") }}) as in_customers
    ),

    final as (
        select *
        from counts
        where
            known <> in_calls
            or known <> in_outcomes
            or known <> in_days
            or turns_of_calls <> in_turns
            or with_a_customer <> in_customers
    )

select *
from final
