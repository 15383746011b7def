{#- {data: {event_type, payload}}: a call is a session. Only its first leg's events have the three known types, and only
    the first leg's `call.initiated` says whose number is whose. -#}
{%- set payload_fields = {
    "assistant_id": "VARCHAR",
    "call_leg_id": "VARCHAR",
    "direction": "VARCHAR",
    "from": "VARCHAR",
    "to": "VARCHAR",
    "start_time": "VARCHAR",
    "duration_sec": "VARCHAR",
    "hangup_cause": "VARCHAR",
    "reason": "VARCHAR",
    "call_session_id": "VARCHAR",
    "result": "VARCHAR",
    "recording_urls": {"mp3": "VARCHAR", "wav": "VARCHAR"},
    "public_recording_urls": {"mp3": "VARCHAR", "wav": "VARCHAR"},
    "messages": transcript_shape(),
    "results": [{"insight_id": "VARCHAR", "result": "JSON"}],
    "conversation_insights": [
        {"conversation_insights": [{"insight_id": "VARCHAR", "result": "JSON"}]}
    ],
} -%}

with

    {{
        platform_deliveries(
            "telnyx",
            {
                "data": {
                    "event_type": "VARCHAR",
                    "occurred_at": "VARCHAR",
                    "payload": payload_fields,
                }
            },
        )
    }},

    legs as (
        select
            *,
            case when event_type = 'call.start' then body.data.payload.direction end as first_leg_direction,
            body.data.event_type = 'call.conversation.ended' as is_conversation,
            coalesce(body.data.event_type in ('call.initiated', 'call.answered'), false) as is_leg_start,
            coalesce(body.data.event_type = 'call.hangup', false) as is_leg_end,
            -- Only the first leg: whom a transfer reached says nothing about the customer.
            body.data.event_type in ('call.machine.detection.ended', 'call.machine.premium.detection.ended')
            and {{ is_first_leg("body.data.payload.call_session_id", "body.data.payload.call_leg_id") }}
            as is_machine_detection,
            list_concat(
                coalesce(body.data.payload.results, []),
                flatten(
                    list_transform(
                        coalesce(body.data.payload.conversation_insights, []),
                        lambda entry:coalesce(entry.conversation_insights, [])
                    )
                )
            ) as insights
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            body.data.occurred_at as occurred_at_text,
            body.data.payload.start_time as dialled_at_text,
            body.data.payload.assistant_id as agent_id,
            first_leg_direction as direction_text,
            case
                first_leg_direction
                when 'incoming'
                then body.data.payload."from"
                when 'outgoing'
                then body.data.payload."to"
            end as customer_phone_text,
            case
                first_leg_direction
                when 'incoming'
                then body.data.payload."to"
                when 'outgoing'
                then body.data.payload."from"
            end as agent_phone_text,
            case when is_conversation then body.data.payload."from" end as from_phone_text,
            case when is_conversation then body.data.payload."to" end as to_phone_text,
            case
                when event_type = 'call.start' or body.data.event_type = 'call.answered'
                then body.data.occurred_at
            end as started_at_text,
            case when event_type = 'call.end' or is_leg_end then body.data.occurred_at end as ended_at_text,
            body.data.payload.duration_sec as duration_text,
            case
                when event_type <> 'call.end' or body.data.payload.hangup_cause is null
                then null
                when body.data.payload.hangup_cause in ('normal_clearing', 'time_limit')
                then 'completed'
                when body.data.payload.hangup_cause = 'user_busy'
                then 'busy'
                when body.data.payload.hangup_cause in ('timeout', 'no_answer')
                then 'no_answer'
                when body.data.payload.hangup_cause = 'originator_cancel'
                then 'cancelled'
                else 'failed'
            end as line_status_text,
            case
                when is_leg_start or is_leg_end then coalesce(body.data.payload.call_leg_id, '')
            end as leg_id,
            -- Without `hangup_source`: caller or callee means a side only together with the direction.
            case
                when event_type = 'call.end'
                then coalesce(body.data.payload.hangup_cause, body.data.payload.reason)
            end as end_reason,
            case
                when is_machine_detection
                then body.data.payload.result
                when event_type = 'call.end'
                then
                    case
                        body.data.payload.hangup_cause
                        when 'timeout'
                        then 'no_answer'
                        else body.data.payload.hangup_cause
                    end
            end as dialled,
            list_last(
                list_filter(
                    list_transform(
                        insights,
                        lambda insight: case
                            when json_type(insight.result) = 'VARCHAR' then insight.result ->> '$'
                        end
                    ),
                    lambda text:text is not null
                )
            ) as summary,
            coalesce(
                body.data.payload.public_recording_urls.mp3,
                body.data.payload.public_recording_urls.wav,
                body.data.payload.recording_urls.mp3,
                body.data.payload.recording_urls.wav
            ) as recording_url,
            list_filter(
                body.data.payload.messages, lambda message:message.role in ('user', 'assistant')
            ) as transcript,
            flatten(
                list_transform(insights, lambda insight:{{ measures_of_object("insight.result") }})
            ) as measures
        from legs
    ),

    {{ platform_events(leg_id="leg_id", dial_result="dialled") }}

select *
from final
