{#- {event, room, participant}: a call is a room's session, a person's coming and going an event of it, and so a leg of the call. Times
    are Unix seconds as text. Who is a telephone has attributes of SIP. -#}
{%- set said_of_participant = {
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
    "participant": said_of_participant,
} -%}
{%- set line = {
    "sip.callID": "VARCHAR",
    "sip.phoneNumber": "VARCHAR",
    "sip.trunkPhoneNumber": "VARCHAR",
    "sip.ruleID": "VARCHAR",
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
            {{ json_fields("payload", shape) }} as body
        from {{ source("raw", "call_events") }}
        where source = 'livekit'
    ),

    persons as (
        select
            *,
            event_type in ('call.start', 'call.end') and body.participant is not null as is_person,
            {{ json_fields("body.participant.attributes", line) }} as line,
            -- A room that fell empty is closed this many seconds later.
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
            body.createdat as occurred_at_text,
            body.room.creationtime as dialled_at_text,
            cast(null as varchar) as agent_id,
            case
                when line."sip.callID" is null
                then null
                when nullif(line."sip.ruleID", '') is not null
                then 'inbound'
                else 'outbound'
            end as direction_text,
            line."sip.phoneNumber" as customer_phone_text,
            line."sip.trunkPhoneNumber" as agent_phone_text,
            cast(null as varchar) as from_phone_text,
            cast(null as varchar) as to_phone_text,
            case when is_person then body.participant.joinedat end as started_at_text,
            cast(try_cast(ended_at_seconds as bigint) as varchar) as ended_at_text,
            case
                when body.event = 'participant_left'
                then cast(ended_at_seconds - try_cast(body.participant.joinedat as double) as varchar)
            end as duration_text,
            case when event_type = 'call.end' then 'completed' end as line_status_text,
            cast(null as varchar) as parent_call_id,
            case
                when is_person
                then coalesce(body.participant.sid, body.participant.identity, body.participant.joinedat, '')
            end as leg_id,
            -- An empty room closes by itself: that is no reason why the call ended.
            case
                when event_type = 'call.end'
                then
                    coalesce(
                        body.participant.disconnectreason, nullif(body.roomendreason, 'ROOM_END_IDLE_TIMEOUT')
                    )
            end as end_reason,
            cast(null as varchar) as disposition_text,
            cast(null as varchar) as summary,
            cast(null as varchar) as recording_url,
            {{ no_transcript() }} as transcript,
            case when is_person then body.participant.attributes end as variables,
            {{ no_measures() }} as measures
        from persons
    ),

    {{ platform_events("said", leg_id="leg_id") }}

select *
from final
