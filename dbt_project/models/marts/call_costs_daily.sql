with

    final as (
        select
            call_date || ':' || {{ key_of(["source", "agent_id", "currency"]) }} as cost_key,
            call_date,
            source,
            agent_id,
            currency,
            count(*) as billed_call_count,
            {{ decimal_sum("billed_minutes", 9) }} as billed_minutes,
            {{ decimal_sum("cost", 9) }} as cost
        from {{ ref("int_calls_costed") }}
        group by call_date, source, agent_id, currency
    )

select *
from final
