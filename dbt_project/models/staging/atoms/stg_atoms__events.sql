{#- Both dialects of the platform, and the third naming its set-up page shows: {event, data, call_id}. -#}
{%- set seed_fields = {
    "timestamp": "VARCHAR",
    "agent_id": "VARCHAR",
    "call_direction": "VARCHAR",
    "caller_phone": "VARCHAR",
    "agent_phone": "VARCHAR",
    "duration_seconds": "VARCHAR",
    "disposition": "VARCHAR",
    "summary": "VARCHAR",
    "recording_url": "VARCHAR",
    "transcript": "JSON",
    "timezone": "VARCHAR",
    "variables": "JSON",
    "metrics": "JSON",
} -%}
{%- set wire_fields = {
    "agentId": "VARCHAR",
    "callId": "VARCHAR",
    "conversationType": "VARCHAR",
    "fromPhone": "VARCHAR",
    "toPhone": "VARCHAR",
    "recordingUrl": "VARCHAR",
    "callData": {
        "fromNumber": "VARCHAR",
        "toNumber": "VARCHAR",
        "callDuration": "VARCHAR",
        "callStatus": "VARCHAR",
        "callDirection": "VARCHAR",
        "answerTime": "VARCHAR",
        "endTime": "VARCHAR",
    },
    "transcript": "JSON",
    "timezone": "VARCHAR",
    "variables": "JSON",
    "analytics": {"summary": "VARCHAR", "dispositionMetrics": "JSON", "successMetrics": "JSON"},
} -%}

with

    {{ platform_deliveries("atoms", dict(seed_fields, metadata=wire_fields, data=seed_fields)) }},

    transcripts as (
        select *, coalesce(body.transcript, body.metadata.transcript, body.data.transcript) as spoken
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            coalesce(body.timestamp, body.data.timestamp) as occurred_at_text,
            regexp_extract(body.metadata.callid, '^CALL-([0-9]{13})-', 1) as dialled_at_text,
            coalesce(body.agent_id, body.metadata.agentid, body.data.agent_id) as agent_id,
            coalesce(
                body.call_direction,
                body.metadata.conversationtype,
                body.metadata.calldata.calldirection,
                body.data.call_direction
            ) as direction_text,
            coalesce(body.caller_phone, body.data.caller_phone) as customer_phone_text,
            coalesce(body.agent_phone, body.data.agent_phone) as agent_phone_text,
            coalesce(body.metadata.calldata.fromnumber, body.metadata.fromphone) as from_phone_text,
            coalesce(body.metadata.calldata.tonumber, body.metadata.tophone) as to_phone_text,
            body.metadata.calldata.answertime as started_at_text,
            body.metadata.calldata.endtime as ended_at_text,
            coalesce(
                body.duration_seconds, body.metadata.calldata.callduration, body.data.duration_seconds
            ) as duration_text,
            body.metadata.calldata.callstatus as line_status_text,
            coalesce(body.disposition, body.data.disposition) as disposition_text,
            coalesce(body.summary, body.metadata.analytics.summary, body.data.summary) as summary,
            coalesce(
                body.recording_url, body.metadata.recordingurl, body.data.recording_url
            ) as recording_url,
            {{ turns_of_json("spoken") }} as transcript,
            {{ json_text("spoken") }} as transcript_text,
            coalesce(body.timezone, body.metadata.timezone, body.data.timezone) as zone,
            coalesce(body.variables, body.metadata.variables, body.data.variables) as variables,
            list_concat(
                list_concat(
                    list_concat(
                        {{ measures_of_object("body.metrics") }}, {{ measures_of_list("body.metrics") }}
                    ),
                    list_concat(
                        {{ measures_of_list("body.metadata.analytics.dispositionmetrics") }},
                        {{ measures_of_list("body.metadata.analytics.successmetrics") }}
                    )
                ),
                {{ measures_of_object("body.data.metrics") }}
            ) as measures
        from transcripts
    ),

    {{
        platform_events(
            transcript_text="transcript_text",
            zone="zone",
            dial_result=to_dial_result_of_line("line_status_text"),
        )
    }}

select *
from final
