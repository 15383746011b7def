{{ config(materialized="incremental", incremental_strategy="append", on_schema_change="fail") }}

with

    events as (
        {% for platform in platforms_with_new_events(var("platforms"), "loaded_at", "loaded_at") %}
            select * from {{ ref("stg_" ~ platform ~ "__events") }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    final as (select * from events where {{ incremental_filter("loaded_at", "loaded_at") }})

select *
from final
