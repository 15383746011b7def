{#- {event, call}: `call` is what the API answers for the call, with one medium among several. -#}
{%- set line = {"outgoing": {"to": "VARCHAR", "from": "VARCHAR"}, "incoming": "JSON"} -%}
{%- set mediums = ["twilio", "telnyx", "plivo", "exotel", "sip"] -%}
{%- set said_of_medium = {"webRtc": "JSON"} -%}
{%- for medium in mediums -%} {%- do said_of_medium.update({medium: line}) -%} {%- endfor -%}
{%- set said_of_call = {
    "created": "VARCHAR",
    "joined": "VARCHAR",
    "ended": "VARCHAR",
    "endReason": "VARCHAR",
    "shortSummary": "VARCHAR",
    "summary": "VARCHAR",
    "agentId": "VARCHAR",
    "agent": {"agentId": "VARCHAR"},
    "medium": said_of_medium,
    "metadata": "JSON",
    "requestContext": {"ultravox": {"sip": {"caller_id": "VARCHAR"}}},
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
            {{ json_fields("payload", {"call": said_of_call}) }} as body
        from {{ source("raw", "call_events") }}
        where source = 'ultravox'
    ),

    dialled as (
        select
            *,
            coalesce(
                {% for medium in mediums %}
                    body.call.medium.{{ medium }}.outgoing."to" {{ "," if not loop.last }}
                {% endfor %}
            ) as outgoing_to,
            coalesce(
                {% for medium in mediums %}
                    body.call.medium.{{ medium }}.outgoing."from" {{ "," if not loop.last }}
                {% endfor %}
            ) as outgoing_from,
            coalesce(
                {% for medium in mediums %}
                    body.call.medium.{{ medium }}.incoming {{ "," if not loop.last }}
                {% endfor %}
            )
            is not null as is_incoming
        from deliveries
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
            body.call.created as dialled_at_text,
            coalesce(body.call.agentid, body.call.agent.agentid) as agent_id,
            case
                when outgoing_to is not null or outgoing_from is not null
                then 'outbound'
                when is_incoming
                then 'inbound'
                when body.call.medium.webrtc is not null
                then 'web'
            end as direction_text,
            coalesce(outgoing_to, body.call.requestcontext.ultravox.sip.caller_id) as customer_phone_text,
            outgoing_from as agent_phone_text,
            cast(null as varchar) as from_phone_text,
            cast(null as varchar) as to_phone_text,
            body.call.joined as started_at_text,
            body.call.ended as ended_at_text,
            cast(null as varchar) as duration_text,
            -- A reason is given once the call is over; what the line did follows from it.
            case
                when body.call.endreason in ('hangup', 'agent_hangup', 'timeout')
                then 'completed'
                when body.call.endreason = 'unjoined'
                then 'no_answer'
                when body.call.endreason is not null
                then 'failed'
            end as line_status_text,
            cast(null as varchar) as parent_call_id,
            body.call.endreason as end_reason,
            cast(null as varchar) as disposition_text,
            coalesce(body.call.summary, body.call.shortsummary) as summary,
            cast(null as varchar) as recording_url,
            {{ no_transcript() }} as transcript,
            body.call.metadata as variables,
            {{ no_measures() }} as measures
        from dialled
    ),

    {{ platform_events("said", dial_result="end_reason") }}

select *
from final
