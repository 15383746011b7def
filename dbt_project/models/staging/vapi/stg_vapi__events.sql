{#- {message}: status updates, and the report after the call, which is its end and its analysis. -#}
{%- set messages_fields = [
    {"role": "VARCHAR", "message": "VARCHAR", "time": "VARCHAR", "endTime": "VARCHAR"}
] -%}
{%- set call_fields = {
    "type": "VARCHAR",
    "assistantId": "VARCHAR",
    "squadId": "VARCHAR",
    "startedAt": "VARCHAR",
    "endedAt": "VARCHAR",
    "customer": {"number": "VARCHAR", "sipUri": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR"},
    "phoneNumber": {"number": "VARCHAR", "sipUri": "VARCHAR"},
    "assistantOverrides": {"variableValues": "JSON"},
} -%}
{%- set message_fields = {
    "status": "VARCHAR",
    "timestamp": "VARCHAR",
    "startedAt": "VARCHAR",
    "endedAt": "VARCHAR",
    "durationSeconds": "VARCHAR",
    "endedReason": "VARCHAR",
    "summary": "VARCHAR",
    "recordingUrl": "VARCHAR",
    "messages": messages_fields,
    "transcript": "VARCHAR",
    "customer": {"number": "VARCHAR", "sipUri": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR"},
    "phoneNumber": {"number": "VARCHAR", "sipUri": "VARCHAR"},
    "call": call_fields,
    "analysis": {"summary": "VARCHAR", "structuredData": "JSON", "successEvaluation": "VARCHAR"},
    "artifact": {
        "messages": messages_fields,
        "transcript": "VARCHAR",
        "recordingUrl": "VARCHAR",
        "variableValues": "JSON",
        "structuredOutputs": "JSON",
    },
} -%}

with

    {{ platform_deliveries("vapi", {"message": message_fields}) }},

    messages as (
        select *, body.message as message, body.message.call as call, body.message.artifact as artifact
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            message.timestamp as occurred_at_text,
            coalesce(call.assistantid, call.squadid) as agent_id,
            call.type as direction_text,
            {{
                first_meaningful(
                    [
                        "message.customer.number",
                        "call.customer.number",
                        "message.customer.sipuri",
                        "call.customer.sipuri",
                    ]
                )
            }} as customer_phone_text,
            {{
                first_meaningful(
                    [
                        "message.phonenumber.number",
                        "call.phonenumber.number",
                        "message.phonenumber.sipuri",
                        "call.phonenumber.sipuri",
                    ]
                )
            }} as agent_phone_text,
            coalesce(message.startedat, call.startedat) as started_at_text,
            coalesce(message.endedat, call.endedat) as ended_at_text,
            message.durationseconds as duration_text,
            case
                when event_type in ('call.end', 'analytics.completed')
                then
                    case
                        when message.endedreason in ('customer-busy', 'call.forwarding.operator-busy')
                        then 'busy'
                        when message.endedreason in ('customer-did-not-answer', 'call.forwarding.no-answer')
                        then 'no_answer'
                        when
                            message.endedreason
                            in ('manually-canceled', 'scheduled-call-deleted', 'call-deleted')
                        then 'cancelled'
                        when coalesce(message.startedat, call.startedat) is not null
                        then 'completed'
                        when message.endedreason like '%error%' or message.endedreason like '%failed%'
                        then 'failed'
                    end
                when event_type = 'call.start'
                then 'in_progress'
            end as line_status_text,
            message.endedreason as end_reason,
            {{ verdict_to_disposition("message.analysis.successevaluation") }} as disposition_text,
            {{ first_meaningful(["message.analysis.summary", "message.summary"]) }} as summary,
            coalesce(artifact.recordingurl, message.recordingurl) as recording_url,
            list_transform(
                list_filter(
                    coalesce(artifact.messages, message.messages),
                    lambda turn:turn.role in ('bot', 'assistant', 'user')
                ),
                lambda turn: {
                    'role':turn.role,
                    'content':turn.message,
                    'timestamp':split_part(turn.time, '.', 1),
                    'until':split_part(turn.endtime, '.', 1)
                }
            ) as transcript,
            {{ first_meaningful(["artifact.transcript", "message.transcript"]) }} as transcript_text,
            {{
                merged_objects(
                    [
                        "json_object('customer_name', coalesce(message.customer.name, call.customer.name))",
                        "json_object('customer_email', coalesce(message.customer.email, call.customer.email))",
                        "call.assistantoverrides.variablevalues",
                        "artifact.variablevalues",
                    ]
                )
            }}
            as variables,
            list_concat(
                list_concat(
                    {{ measures_of_object("message.analysis.structureddata") }},
                    {{ measures_of_results("artifact.structuredoutputs", "result", name="name") }}
                ),
                list_concat(
                    {{ measure_of("success_evaluation", "message.analysis.successevaluation") }},
                    {{
                        measure_of(
                            "transfer_requested",
                            "case when message.endedreason = 'assistant-forwarded-call' then 'true' end",
                        )
                    }}
                )
            ) as measures
        from messages
    ),

    {{
        platform_events(
            analytics_end_the_call=true, transcript_text="transcript_text", dial_result="end_reason"
        )
    }}

select *
from final
