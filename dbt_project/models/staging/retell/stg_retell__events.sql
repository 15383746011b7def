{#- {event, call}; `call` is what the platform's API answers for the call, complete with its end. -#}
{%- set call_fields = {
    "agent_id": "VARCHAR",
    "call_type": "VARCHAR",
    "call_status": "VARCHAR",
    "direction": "VARCHAR",
    "from_number": "VARCHAR",
    "to_number": "VARCHAR",
    "start_timestamp": "VARCHAR",
    "end_timestamp": "VARCHAR",
    "duration_ms": "VARCHAR",
    "disconnection_reason": "VARCHAR",
    "transfer_destination": "VARCHAR",
    "recording_url": "VARCHAR",
    "transcript": "VARCHAR",
    "scrubbed_recording_url": "VARCHAR",
    "transcript_object": [
        {"role": "VARCHAR", "content": "VARCHAR", "words": [{"start": "DOUBLE", "end": "DOUBLE"}]}
    ],
    "metadata": "JSON",
    "retell_llm_dynamic_variables": "JSON",
    "collected_dynamic_variables": "JSON",
    "call_analysis": {
        "call_summary": "VARCHAR",
        "call_successful": "VARCHAR",
        "in_voicemail": "VARCHAR",
        "user_sentiment": "VARCHAR",
        "custom_analysis_data": "JSON",
    },
} -%}

with

    {{ platform_deliveries("retell", {"call": call_fields}) }},

    -- The start is a column of its own, because DuckDB copies what a lambda reads besides its list for each
    -- turn.
    calls as (
        select
            *,
            body.call as call,
            body.call.call_analysis as analysis,
            body.call.start_timestamp as start_milliseconds
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            call.agent_id as agent_id,
            coalesce(call.direction, call.call_type) as direction_text,
            call.from_number as from_phone_text,
            call.to_number as to_phone_text,
            call.start_timestamp as started_at_text,
            call.end_timestamp as ended_at_text,
            cast(try_cast(call.duration_ms as double) / 1000 as varchar) as duration_text,
            case
                when call.call_status = 'ended'
                then 'completed'
                when call.call_status = 'ongoing'
                then 'in_progress'
                when call.disconnection_reason = 'dial_busy'
                then 'busy'
                when call.disconnection_reason = 'dial_no_answer'
                then 'no_answer'
                when call.call_status in ('not_connected', 'error')
                then 'failed'
            end as line_status_text,
            call.disconnection_reason as end_reason,
            case
                when {{ to_boolean("analysis.in_voicemail") }} then 'voicemail' else call.disconnection_reason
            end as dialled,
            {{ verdict_to_disposition("analysis.call_successful") }} as disposition_text,
            analysis.call_summary as summary,
            coalesce(call.recording_url, call.scrubbed_recording_url) as recording_url,
            list_transform(
                call.transcript_object,
                lambda turn: {
                    'role':turn.role,
                    'content':turn.content,
                    'timestamp':{{ moment_in_call("start_milliseconds", "turn.words[1].start") }},
                    'until':{{ moment_in_call("start_milliseconds", 'turn.words[-1]."end"') }}
                }
            ) as transcript,
            call.transcript as transcript_text,
            {{
                merged_objects(
                    [
                        "json_object('transfer_destination', call.transfer_destination)",
                        "call.metadata",
                        "call.retell_llm_dynamic_variables",
                        "call.collected_dynamic_variables",
                    ]
                )
            }} as variables,
            list_concat(
                list_concat(
                    {{ measures_of_object("analysis.custom_analysis_data") }},
                    {{ measure_of("sentiment", "nullif(analysis.user_sentiment, 'Unknown')") }}
                ),
                list_concat(
                    list_concat(
                        {{ measure_of("call_successful", "analysis.call_successful") }},
                        {{ measure_of("in_voicemail", "analysis.in_voicemail") }}
                    ),
                    {{
                        measure_of(
                            "transfer_requested",
                            "case when call.disconnection_reason in ('call_transfer', 'transfer_bridged') then 'true' end",
                        )
                    }}
                )
            ) as measures
        from calls
    ),

    {{ platform_events(transcript_text="transcript_text", dial_result="dialled") }}

select *
from final
