{#- A status callback's form, or an event of Event Streams that quotes one; of several in a body, the first. -#}
{%- set form_fields = {
    "ParentCallSid": "VARCHAR",
    "CallStatus": "VARCHAR",
    "Direction": "VARCHAR",
    "From": "VARCHAR",
    "To": "VARCHAR",
    "CallDuration": "VARCHAR",
    "AnsweredBy": "VARCHAR",
    "RecordingUrl": "VARCHAR",
} -%}
{%- set shape = {"form": form_fields, "data": {"request": {"parameters": form_fields}}} -%}

with

    {{
        platform_deliveries(
            "twilio",
            shape,
            document="case when json_type(payload) = 'ARRAY' then json_extract(payload, '$[0]') else payload end",
        )
    }},

    fields as (select *, coalesce(body.form, body.data.request.parameters) as form from deliveries),

    -- On a leg that <Dial> made is the person to whom the customer was connected, not the customer.
    lines as (
        select
            *,
            form.parentcallsid is not null or coalesce(form.direction = 'outbound-dial', false) as is_leg,
            -- With another direction (`trunking-…`, or none) the body does not say which number is ours.
            case
                when form.direction = 'inbound'
                then form."from"
                when form.direction like 'outbound%'
                then form."to"
            end as customer_number,
            case
                when form.direction = 'inbound'
                then form."to"
                when form.direction like 'outbound%'
                then form."from"
            end as own_number
        from fields
    ),

    source_fields as (
        select
            * exclude (body),
            form.direction as direction_text,
            case when not is_leg then customer_number end as customer_phone_text,
            case when is_leg then form."to" else own_number end as agent_phone_text,
            case when event_type = 'call.end' then form.callduration end as duration_text,
            case when event_type = 'call.end' then form.callstatus end as line_status_text,
            form.parentcallsid as parent_call_id,
            case
                when event_type <> 'call.end'
                then null
                when form.answeredby like 'machine%' or form.answeredby = 'fax'
                then form.answeredby
                else form.callstatus
            end as end_reason,
            -- The callback of the machine detection has no status.
            coalesce(
                {{ to_dial_result("form.answeredby") }},
                case when event_type = 'call.end' then form.callstatus end
            ) as dialled,
            form.recordingurl as recording_url
        from lines
    ),

    {{ platform_events(dial_result="dialled") }}

select *
from final
