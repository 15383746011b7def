{#- {type, event_timestamp, data}: the end and the analysis of a call in one, or a dial that failed. A conversation may come
    without that envelope, as the API gives it. -#}
{%- set metadata_fields = {
    "start_time_unix_secs": "VARCHAR",
    "call_duration_secs": "VARCHAR",
    "termination_reason": "VARCHAR",
    "main_language": "VARCHAR",
    "phone_call": {
        "direction": "VARCHAR",
        "agent_number": "VARCHAR",
        "external_number": "VARCHAR",
        "call_result": "VARCHAR",
    },
    "whatsapp": "JSON",
    "sms": "JSON",
    "feedback": {"rating": "VARCHAR", "comment": "VARCHAR"},
    "body": {
        "From": "VARCHAR",
        "To": "VARCHAR",
        "Direction": "VARCHAR",
        "from_number": "VARCHAR",
        "to_number": "VARCHAR",
    },
} -%}
{%- set data_fields = {
    "agent_id": "VARCHAR",
    "status": "VARCHAR",
    "failure_reason": "VARCHAR",
    "transcript": "JSON",
    "metadata": metadata_fields,
    "analysis": {
        "call_successful": "VARCHAR",
        "call_success_score": "VARCHAR",
        "transcript_summary": "VARCHAR",
        "evaluation_criteria_results": "JSON",
        "data_collection_results": "JSON",
    },
    "conversation_initiation_client_data": {"dynamic_variables": "JSON"},
} -%}

with

    {{
        platform_deliveries(
            "elevenlabs",
            {"event_timestamp": "VARCHAR", "data": data_fields},
            document="case when json_type(payload, '$.data') = 'OBJECT' then payload else json_object('data', payload) end",
        )
    }},

    conversations as (
        select
            *,
            body.data as conversation,
            body.data.metadata as metadata,
            body.data.metadata.phone_call as phone_call,
            body.data.metadata.body as dial,
            body.data.analysis as analysis,
            -- A column of its own, because DuckDB copies what a lambda reads besides its list for each turn.
            body.data.metadata.start_time_unix_secs || '000' as start_milliseconds
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            body.event_timestamp as occurred_at_text,
            conversation.agent_id as agent_id,
            coalesce(
                phone_call.direction,
                dial.direction,
                case
                    when coalesce(dial.to, dial.to_number) is not null
                    then 'outbound'
                    when
                        event_type = 'analytics.completed'
                        and metadata.whatsapp is null
                        and metadata.sms is null
                    then 'web'
                end
            ) as direction_text,
            phone_call.external_number as customer_phone_text,
            phone_call.agent_number as agent_phone_text,
            coalesce(dial.from, dial.from_number) as from_phone_text,
            coalesce(dial.to, dial.to_number) as to_phone_text,
            metadata.start_time_unix_secs as started_at_text,
            cast(
                try_cast(
                    try_cast(metadata.start_time_unix_secs as double)
                    + try_cast(metadata.call_duration_secs as double) as bigint
                ) as varchar
            ) as ended_at_text,
            metadata.call_duration_secs as duration_text,
            case
                when conversation.failure_reason = 'unknown' or conversation.status = 'failed'
                then 'failed'
                when conversation.failure_reason is not null
                then conversation.failure_reason
                when phone_call.call_result in ('busy', 'no_answer', 'failed')
                then phone_call.call_result
                when event_type = 'analytics.completed'
                then 'completed'
            end as line_status_text,
            coalesce(
                conversation.failure_reason,
                case when phone_call.call_result <> 'answered' then phone_call.call_result end,
                metadata.termination_reason
            ) as end_reason,
            coalesce(conversation.failure_reason, phone_call.call_result) as dialled,
            {{ verdict_to_disposition("analysis.call_successful") }} as disposition_text,
            analysis.transcript_summary as summary,
            list_transform(
                {{
                    json_fields(
                        "conversation.transcript",
                        [{"role": "VARCHAR", "message": "VARCHAR", "time_in_call_secs": "DOUBLE"}],
                    )
                }},
                lambda turn: {
                    'role':turn.role,
                    'content':turn.message,
                    'timestamp':
                    {{ moment_in_call("start_milliseconds", "turn.time_in_call_secs") }},
                    'until':cast(null as varchar)
                }
            ) as transcript,
            {{ json_text("conversation.transcript") }} as transcript_text,
            {{
                merged_objects(
                    [
                        "json_object('language', metadata.main_language)",
                        "conversation.conversation_initiation_client_data.dynamic_variables",
                    ]
                )
            }} as variables,
            list_concat(
                list_concat(
                    {{ measures_of_results("analysis.data_collection_results", "value", "rationale") }},
                    {{ measures_of_results("analysis.evaluation_criteria_results", "result", "rationale") }}
                ),
                list_concat(
                    list_concat(
                        {{ measure_of("satisfaction_score", "metadata.feedback.rating") }},
                        {{ measure_of("user_rating", "metadata.feedback.rating") }}
                    ),
                    list_concat(
                        {{ measure_of("user_comment", "metadata.feedback.comment") }},
                        {{ measure_of("call_success_score", "analysis.call_success_score") }}
                    )
                )
            ) as measures
        from conversations
    ),

    {{
        platform_events(
            analytics_end_the_call=true, transcript_text="transcript_text", dial_result="dialled"
        )
    }}

select *
from final
