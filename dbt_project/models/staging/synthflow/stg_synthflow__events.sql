{#- {status, lead, call, analysis}: one body after a call, the end and its analysis at once. -#}
{%- set call_fields = {
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
    "call": call_fields,
    "analysis": "JSON",
} -%}

with

    {{ platform_deliveries("synthflow", shape) }},

    source_fields as (
        select
            * exclude (body),
            body.call.start_time as dialled_at_text,
            body.call.model_id as agent_id,
            body.lead.phone_number as customer_phone_text,
            body.call.start_time as started_at_text,
            body.call.timezone as zone,
            body.call.duration as duration_text,
            body.call.status as line_status_text,
            body.call.end_call_reason as end_reason,
            coalesce(
                {{ to_dial_result_of_line("body.call.status") }},
                {{ to_dial_result("body.call.end_call_reason") }}
            ) as dialled,
            body.call.recording_url as recording_url,
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
            analytics_end_the_call=true,
            transcript_text="transcript_text",
            zone="zone",
            dial_result="dialled",
        )
    }}

select *
from final
