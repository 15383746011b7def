{#- Nothing else of the event log, and only of calls that were listed: the log may be long, the list starts with an API key. -#}
with

    events as (
        select source, call_id, event_type, event_id like 'recovered:%' as is_recovered
        from {{ source("raw", "call_events") }}
        where call_id in (select listed.call_id from {{ source("raw", "listed_calls") }} as listed)
    ),

    final as (
        select
            source,
            call_id,
            event_type,
            max(case when is_recovered then 0 else 1 end) = 1 as is_received,
            max(case when is_recovered then 1 else 0 end) = 1 as is_recovered
        from events
        group by source, call_id, event_type
    )

select *
from final
