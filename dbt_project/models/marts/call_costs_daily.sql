with

    calls as (select * from {{ ref("int_call_facts") }} where duration_seconds is not null),

    rates as (select * from {{ ref("platform_rates") }}),

    -- The rate of the day: of those that had begun by then, the last.
    priced as (
        select
            calls.call_key,
            calls.call_date,
            calls.source,
            calls.agent_id,
            calls.duration_seconds,
            rates.price_per_minute,
            rates.currency,
            rates.billing_increment_seconds,
            row_number() over (partition by calls.call_key order by rates.valid_from desc) as newest_first
        from calls
        inner join rates on calls.source = rates.source and calls.call_date >= rates.valid_from
    ),

    billed as (
        select
            *,
            ceil(duration_seconds / billing_increment_seconds)
            * billing_increment_seconds
            / 60.0 as billed_minutes
        from priced
        where newest_first = 1
    ),

    final as (
        select
            call_date || ':' || source || ':' || agent_id || ':' || currency as cost_key,
            call_date,
            source,
            agent_id,
            currency,
            count(*) as call_count,
            {{ exact_sum("billed_minutes") }} as billed_minutes,
            {{ exact_sum("billed_minutes * price_per_minute") }} as cost
        from billed
        group by call_date, source, agent_id, currency
    )

select *
from final
