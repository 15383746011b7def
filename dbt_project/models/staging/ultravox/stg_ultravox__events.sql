{#- {event, call}: `call` is what the API answers for the call, with one medium among several. -#}
{%- set line = {"outgoing": {"to": "VARCHAR", "from": "VARCHAR"}, "incoming": "JSON"} -%}
{%- set mediums = ["twilio", "telnyx", "plivo", "exotel", "sip"] -%}
{%- set medium_fields = {"webRtc": "JSON"} -%}
{%- for medium in mediums -%} {%- do medium_fields.update({medium: line}) -%} {%- endfor -%}
{%- set call_fields = {
    "created": "VARCHAR",
    "joined": "VARCHAR",
    "ended": "VARCHAR",
    "endReason": "VARCHAR",
    "shortSummary": "VARCHAR",
    "summary": "VARCHAR",
    "agentId": "VARCHAR",
    "agent": {"agentId": "VARCHAR"},
    "medium": medium_fields,
    "metadata": "JSON",
    "requestContext": {"ultravox": {"sip": {"caller_id": "VARCHAR"}}},
} -%}

with

    {{ platform_deliveries("ultravox", {"call": call_fields}) }},

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

    source_fields as (
        select
            * exclude (body),
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
            body.call.joined as started_at_text,
            body.call.ended as ended_at_text,
            -- The platform gives a reason once the call is over. The status of the line follows from it.
            case
                when body.call.endreason in ('hangup', 'agent_hangup', 'timeout')
                then 'completed'
                when body.call.endreason = 'unjoined'
                then 'no_answer'
                when body.call.endreason is not null
                then 'failed'
            end as line_status_text,
            body.call.endreason as end_reason,
            coalesce(body.call.summary, body.call.shortsummary) as summary,
            body.call.metadata as variables
        from dialled
    ),

    {{ platform_events(dial_result="end_reason") }}

select *
from final
