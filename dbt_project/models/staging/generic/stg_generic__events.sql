{#- {type, timestamp, data}: the Standard Webhooks form, whose data speaks the project's own names. -#}
{%- set data_fields = {
    "agent_id": "VARCHAR",
    "direction": "VARCHAR",
    "customer_phone": "VARCHAR",
    "agent_phone": "VARCHAR",
    "started_at": "VARCHAR",
    "ended_at": "VARCHAR",
    "duration_seconds": "VARCHAR",
    "status": "VARCHAR",
    "answered_by": "VARCHAR",
    "parent_call_id": "VARCHAR",
    "end_reason": "VARCHAR",
    "disposition": "VARCHAR",
    "summary": "VARCHAR",
    "recording_url": "VARCHAR",
    "transcript": "JSON",
    "timezone": "VARCHAR",
    "variables": "JSON",
    "metrics": "JSON",
} -%}

with

    {{ platform_deliveries("generic", {"timestamp": "VARCHAR", "data": data_fields}) }},

    source_fields as (
        select
            * exclude (body),
            body.timestamp as occurred_at_text,
            body.data.agent_id as agent_id,
            body.data.direction as direction_text,
            body.data.customer_phone as customer_phone_text,
            body.data.agent_phone as agent_phone_text,
            body.data.started_at as started_at_text,
            body.data.ended_at as ended_at_text,
            body.data.duration_seconds as duration_text,
            body.data.status as line_status_text,
            body.data.answered_by as answered_by,
            body.data.parent_call_id as parent_call_id,
            body.data.end_reason as end_reason,
            body.data.disposition as disposition_text,
            body.data.summary as summary,
            body.data.recording_url as recording_url,
            {{ turns_of_json("body.data.transcript") }} as transcript,
            {{ json_text("body.data.transcript") }} as transcript_text,
            body.data.timezone as zone,
            body.data.variables as variables,
            list_concat(
                {{ measures_of_object("body.data.metrics") }}, {{ measures_of_list("body.data.metrics") }}
            ) as measures
        from deliveries
    ),

    {{
        platform_events(
            transcript_text="transcript_text",
            zone="zone",
            dial_result="coalesce(answered_by, " ~ to_dial_result_of_line("line_status_text") ~ ")",
        )
    }}

select *
from final
