-- A platform has no two rates that are valid from the same day.
with

    final as (
        select source, valid_from, count(*) as times
        from {{ ref("platform_rates") }}
        group by source, valid_from
        having count(*) > 1
    )

select *
from final
