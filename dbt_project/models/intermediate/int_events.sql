with

    final as (
        select *
        from {{ ref("stg_atoms__events") }}
        union all
        select *
        from {{ ref("stg_generic__events") }}
    )

select *
from final
