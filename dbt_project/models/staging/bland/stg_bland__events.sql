{#- The details of the call, as the platform's API answers them, once it is over; some events during it. -#}
{%- set call_fields = {
    "pathway_id": "VARCHAR",
    "persona_id": "VARCHAR",
    "timestamp": "VARCHAR",
    "inbound": "VARCHAR",
    "from": "VARCHAR",
    "to": "VARCHAR",
    "started_at": "VARCHAR",
    "call_length": "VARCHAR",
    "corrected_duration": "VARCHAR",
    "completed": "VARCHAR",
    "queue_status": "VARCHAR",
    "status": "VARCHAR",
    "error_message": "VARCHAR",
    "answered_by": "VARCHAR",
    "call_ended_by": "VARCHAR",
    "transferred_to": "VARCHAR",
    "disposition_tag": "VARCHAR",
    "summary": "VARCHAR",
    "recording_url": "VARCHAR",
    "transcripts": [{"user": "VARCHAR", "text": "VARCHAR", "created_at": "VARCHAR"}],
    "concatenated_transcript": "VARCHAR",
    "timezone": "VARCHAR",
    "variables": "JSON",
    "metadata": "JSON",
    "analysis": "JSON",
} -%}

with

    {{ platform_deliveries("bland", call_fields) }},

    calls as (
        select
            *,
            coalesce(
                try_cast(body.corrected_duration as double), try_cast(body.call_length as double) * 60
            ) as seconds,
            {{ to_utc("body.started_at", zone="body.timezone") }} as started
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            body.timestamp as occurred_at_text,
            coalesce(body.pathway_id, body.persona_id) as agent_id,
            case body.inbound when 'true' then 'inbound' when 'false' then 'outbound' end as direction_text,
            body.from as from_phone_text,
            body.to as to_phone_text,
            body.started_at as started_at_text,
            case
                when seconds between 0 and {{ var("longest_call_seconds") }}
                then cast({{ seconds_after("started", "seconds") }} as varchar) || '+00'
            end as ended_at_text,
            cast(seconds as varchar) as duration_text,
            case
                when event_type <> 'analytics.completed'
                then null
                when body.answered_by = 'no-answer'
                then 'no_answer'
                when body.queue_status like '%error%'
                then 'failed'
                when body.status in ('busy', 'no-answer', 'failed', 'canceled', 'cancelled')
                then body.status
                when body.completed = 'true'
                then 'completed'
                else body.status
            end as line_status_text,
            case
                when body.transferred_to is not null
                then 'transferred'
                when body.answered_by in ('voicemail', 'no-answer')
                then body.answered_by
                else coalesce(body.call_ended_by, body.error_message)
            end as end_reason,
            coalesce(
                {{ to_dial_result("body.answered_by") }}, {{ to_dial_result_of_line("body.status") }}
            ) as dialled,
            body.disposition_tag as disposition_text,
            body.summary as summary,
            body.recording_url as recording_url,
            list_transform(
                list_filter(body.transcripts, lambda turn:turn.user <> 'agent-action'),
                lambda turn: {
                    'role':turn.user,
                    'content':turn.text,
                    'timestamp':turn.created_at,
                    'until':cast(null as varchar)
                }
            ) as transcript,
            body.concatenated_transcript as transcript_text,
            body.timezone as zone,
            {{
                merged_objects(
                    [
                        "json_object('transferred_to', body.transferred_to)",
                        "body.metadata",
                        "body.variables",
                    ]
                )
            }} as variables,
            list_concat(
                {{ measures_of_object("body.analysis") }},
                list_concat(
                    {{ measure_of("answered_by", "body.answered_by") }},
                    {{
                        measure_of(
                            "transfer_requested",
                            "case when body.transferred_to is not null then 'true' end",
                        )
                    }}
                )
            ) as measures
        from calls
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
