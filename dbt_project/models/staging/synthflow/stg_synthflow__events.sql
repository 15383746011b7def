{#- {status, lead, call, analysis}: one body after a call, the end and its analysis at once. -#}
{%- set said_of_call = {
    "call_id": "VARCHAR",
    "model_id": "VARCHAR",
    "status": "VARCHAR",
    "end_call_reason": "VARCHAR",
    "start_time": "VARCHAR",
    "duration": "VARCHAR",
    "transcript": "VARCHAR",
    "timezone": "VARCHAR",
    "recording_url": "VARCHAR",
} -%}
{%- set shape = {
    "lead": {"name": "VARCHAR", "phone_number": "VARCHAR", "prompt_variables": "JSON"},
    "call": said_of_call,
    "analysis": "JSON",
} -%}

with

    deliveries as (
        select
            event_key,
            event_id,
            source,
            event_type,
            call_id,
            occurred_at,
            received_at,
            loaded_at,
            {{ json_fields("payload", shape) }} as body
        from {{ source("raw", "call_events") }}
        where source = 'synthflow'
    ),

    said as (
        select
            event_key,
            event_id,
            source,
            event_type,
            call_id,
            occurred_at,
            received_at,
            loaded_at,
            cast(null as varchar) as occurred_at_text,
            body.call.start_time as dialled_at_text,
            body.call.model_id as agent_id,
            cast(null as varchar) as direction_text,
            body.lead.phone_number as customer_phone_text,
            cast(null as varchar) as agent_phone_text,
            cast(null as varchar) as from_phone_text,
            cast(null as varchar) as to_phone_text,
            body.call.start_time as started_at_text,
            body.call.timezone as zone,
            cast(null as varchar) as ended_at_text,
            body.call.duration as duration_text,
            body.call.status as line_status_text,
            cast(null as varchar) as parent_call_id,
            body.call.end_call_reason as end_reason,
            coalesce(
                {{ to_dial_result_of_line("body.call.status") }},
                {{ to_dial_result("body.call.end_call_reason") }}
            ) as dialled,
            cast(null as varchar) as disposition_text,
            cast(null as varchar) as summary,
            body.call.recording_url as recording_url,
            {{ no_transcript() }} as transcript,
            body.call.transcript as transcript_text,
            {{
                merged_objects(
                    ["json_object('customer_name', body.lead.name)", "body.lead.prompt_variables"]
                )
            }} as variables,
            {{ measures_with_feedback("body.analysis") }} as measures
        from deliveries
    ),

    {{
        platform_events(
            "said",
            analytics_end_the_call=true,
            transcript_text="transcript_text",
            zone="zone",
            dial_result="dialled",
        )
    }}

select *
from final
