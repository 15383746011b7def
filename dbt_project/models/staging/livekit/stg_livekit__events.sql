{#- {event, room, participant}: a call is a room's session, a person's coming and going an event of it, and so a leg of the call. Times
    are Unix seconds as text. Who is a telephone has attributes of SIP. -#}
{%- set participant_fields = {
    "sid": "VARCHAR",
    "identity": "VARCHAR",
    "kind": "VARCHAR",
    "joinedAt": "VARCHAR",
    "disconnectReason": "VARCHAR",
    "attributes": "JSON",
} -%}
{%- set shape = {
    "event": "VARCHAR",
    "createdAt": "VARCHAR",
    "room": {"creationTime": "VARCHAR", "departureTimeout": "VARCHAR"},
    "roomEndReason": "VARCHAR",
    "participant": participant_fields,
} -%}
{%- set line = {
    "sip.callID": "VARCHAR",
    "sip.phoneNumber": "VARCHAR",
    "sip.trunkPhoneNumber": "VARCHAR",
    "sip.ruleID": "VARCHAR",
} -%}

with

    {{ platform_deliveries("livekit", shape) }},

    persons as (
        select
            *,
            event_type in ('call.start', 'call.end') and body.participant is not null as is_person,
            {{ json_fields("body.participant.attributes", line) }} as line,
            -- The platform closes an empty room this many seconds after the last person left.
            case
                when event_type = 'call.end'
                then
                    try_cast(body.createdat as double) - case
                        when body.roomendreason = 'ROOM_END_IDLE_TIMEOUT'
                        then coalesce(try_cast(body.room.departuretimeout as double), 0)
                        else 0
                    end
            end as ended_at_seconds
        from deliveries
    ),

    source_fields as (
        select
            * exclude (body),
            body.createdat as occurred_at_text,
            body.room.creationtime as dialled_at_text,
            case
                when line."sip.callID" is null
                then null
                when nullif(line."sip.ruleID", '') is not null
                then 'inbound'
                else 'outbound'
            end as direction_text,
            line."sip.phoneNumber" as customer_phone_text,
            line."sip.trunkPhoneNumber" as agent_phone_text,
            case when is_person then body.participant.joinedat end as started_at_text,
            cast(try_cast(ended_at_seconds as bigint) as varchar) as ended_at_text,
            case
                when body.event = 'participant_left'
                then cast(ended_at_seconds - try_cast(body.participant.joinedat as double) as varchar)
            end as duration_text,
            case when event_type = 'call.end' then 'completed' end as line_status_text,
            case
                when is_person
                then coalesce(body.participant.sid, body.participant.identity, body.participant.joinedat, '')
            end as leg_id,
            -- An empty room closes by itself, which is not why the call ended.
            case
                when event_type = 'call.end'
                then
                    coalesce(
                        body.participant.disconnectreason, nullif(body.roomendreason, 'ROOM_END_IDLE_TIMEOUT')
                    )
            end as end_reason,
            case when is_person then body.participant.attributes end as variables
        from persons
    ),

    {{ platform_events(leg_id="leg_id") }}

select *
from final
