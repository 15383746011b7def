with

    expected as (select * from {{ ref("stg_recovery__expected_events") }}),

    landed as (select * from {{ ref("stg_recovery__landed_events") }}),

    calls as (
        select
            expected.source,
            expected.call_id,
            cast(min(expected.created_at) as date) as call_date,
            max(expected.listed_at) as listed_at,
            min(case when landed.is_received then 1 else 0 end) as is_received,
            min(case when landed.is_received or landed.is_recovered then 1 else 0 end) as is_known
        from expected
        left join
            landed
            on expected.source = landed.source
            and expected.call_id = landed.call_id
            and expected.event_type = landed.event_type
        group by expected.source, expected.call_id
    ),

    final as (
        select
            call_date || ':' || source as loss_key,
            call_date,
            source,
            count(*) as listed_call_count,
            cast(sum(is_received) as bigint) as received_call_count,
            cast(sum(is_known - is_received) as bigint) as recovered_call_count,
            cast(sum(1 - is_known) as bigint) as missing_call_count,
            1 - avg(cast(is_received as double)) as loss_rate,
            max(listed_at) as listed_at
        from calls
        group by call_date, source
    )

select *
from final
