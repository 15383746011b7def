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
        {% for platform in with_news(platforms, "loaded_at", "loaded_at") %}
            select * from {{ ref("stg_" ~ platform ~ "__events") }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    final as (select * from said where {{ newer_than_this("loaded_at", "loaded_at") }})

select *
from final
