-- Of two rates of a platform from one day on, neither would be the rate of the day.
with

    final as (
        select source, valid_from, count(*) as times
        from {{ ref("platform_rates") }}
        group by source, valid_from
        having count(*) > 1
    )

select *
from final
