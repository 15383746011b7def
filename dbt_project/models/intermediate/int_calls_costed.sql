with

    calls as (select * from {{ ref("int_calls_measured") }} where duration_seconds is not null),

    rates as (select * from {{ ref("platform_rates") }}),

    -- The rate of the day is the last that was valid by then.
    priced as (
        select
            calls.call_key,
            calls.call_date,
            calls.source,
            calls.agent_id,
            rates.currency,
            ceil(calls.duration_seconds / rates.billing_increment_seconds)
            * rates.billing_increment_seconds
            / 60.0 as billed_minutes,
            rates.price_per_minute,
            row_number() over (partition by calls.call_key order by rates.valid_from desc) as newest_first
        from calls
        inner join rates on calls.source = rates.source and calls.call_date >= rates.valid_from
    ),

    final as (
        select
            call_key,
            call_date,
            source,
            agent_id,
            currency,
            billed_minutes,
            billed_minutes * price_per_minute as cost
        from priced
        where newest_first = 1
    )

select *
from final
