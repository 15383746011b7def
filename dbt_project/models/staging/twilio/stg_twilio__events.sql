{#- A status callback's form, or an event of Event Streams that quotes one; of several in a body, the first. -#}
{%- set said_in_form = {
    "ParentCallSid": "VARCHAR",
    "CallStatus": "VARCHAR",
    "Direction": "VARCHAR",
    "From": "VARCHAR",
    "To": "VARCHAR",
    "CallDuration": "VARCHAR",
    "AnsweredBy": "VARCHAR",
    "RecordingUrl": "VARCHAR",
} -%}
{%- set shape = {"form": said_in_form, "data": {"request": {"parameters": said_in_form}}} -%}

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
            {{
                json_fields(
                    "case when json_type(payload) = 'ARRAY' then json_extract(payload, '$[0]') else payload end",
                    shape,
                )
            }}
            as body
        from {{ source("raw", "call_events") }}
        where source = 'twilio'
    ),

    fields as (select *, coalesce(body.form, body.data.request.parameters) as said from deliveries),

    -- Behind a leg that <Dial> made is whom the customer was put through to, not the customer.
    lines as (
        select
            *,
            said.parentcallsid is not null or coalesce(said.direction = 'outbound-dial', false) as is_leg,
            -- of a direction that is neither (`trunking-…`, or none) nobody knows which number is ours
            case
                when said.direction = 'inbound'
                then said."from"
                when said.direction like 'outbound%'
                then said."to"
            end as customer,
            case
                when said.direction = 'inbound'
                then said."to"
                when said.direction like 'outbound%'
                then said."from"
            end as ours
        from fields
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
            cast(null as varchar) as dialled_at_text,
            cast(null as varchar) as agent_id,
            said.direction as direction_text,
            case when not is_leg then customer end as customer_phone_text,
            case when is_leg then said."to" else ours end as agent_phone_text,
            cast(null as varchar) as from_phone_text,
            cast(null as varchar) as to_phone_text,
            cast(null as varchar) as started_at_text,
            cast(null as varchar) as ended_at_text,
            case when event_type = 'call.end' then said.callduration end as duration_text,
            case when event_type = 'call.end' then said.callstatus end as line_status_text,
            said.parentcallsid as parent_call_id,
            case
                when event_type <> 'call.end'
                then null
                when said.answeredby like 'machine%' or said.answeredby = 'fax'
                then said.answeredby
                else said.callstatus
            end as end_reason,
            -- The machine detection's own callback has no status.
            coalesce(
                {{ to_dial_result("said.answeredby") }},
                case when event_type = 'call.end' then said.callstatus end
            ) as dialled,
            cast(null as varchar) as disposition_text,
            cast(null as varchar) as summary,
            said.recordingurl as recording_url,
            {{ no_transcript() }} as transcript,
            {{ no_variables() }} as variables,
            {{ no_measures() }} as measures
        from lines
    ),

    {{ platform_events("said", dial_result="dialled") }}

select *
from final
