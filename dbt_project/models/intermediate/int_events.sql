{{ config(materialized="incremental", incremental_strategy="append", on_schema_change="fail") }}

with

    said as (
        {% for platform in [
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
            select * from {{ ref("stg_" ~ platform ~ "__events") }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    final as (select * from said where {{ newer_than_this("loaded_at", "loaded_at") }})

select *
from final
