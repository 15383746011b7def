with

    listed as (select * from {{ source("raw", "listed_calls") }} where expected_events <> ''),

    final as (
        select
            source,
            call_id,
            unnest(string_split(expected_events, ',')) as event_type,
            coalesce(created_at, ended_at, listed_at) as created_at,
            listed_at
        from listed
    )

select *
from final
