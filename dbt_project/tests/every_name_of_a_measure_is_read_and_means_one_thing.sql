-- Names in the seed `measures` are in lower snake case, or no measure matches them, and appear once per
-- platform.
with

    counted as (
        select coalesce(source, '') as source, measure, count(*) as times
        from {{ ref("measures") }}
        group by coalesce(source, ''), measure
    ),

    final as (
        select source, measure, times
        from counted
        where times > 1 or measure <> coalesce({{ to_snake_case("measure") }}, '')
    )

select *
from final
