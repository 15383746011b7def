{{ config(materialized="incremental", incremental_strategy="append", on_schema_change="fail") }}
{%- set platforms = [
    "atoms",
    "bland",
    "elevenlabs",
    "generic",
    "livekit",
    "retell",
    "synthflow",
    "telnyx",
    "twilio",
    "ultravox",
    "vapi",
] %}

with

    said as (
        {% for platform in platforms_with_new_events(platforms, "loaded_at", "loaded_at") %}
            select * from {{ ref("stg_" ~ platform ~ "__events") }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    final as (select * from said where {{ incremental_filter("loaded_at", "loaded_at") }})

select *
from final
