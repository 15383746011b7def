{# The columns every platform's staging model ends with, from a relation `said` that holds what the platform said under the
   project's own names, still as text. A new platform maps its names and calls this.
   `analytics_end_the_call`: the platform's last event is end and analytics in one. It stays one row, which closes the call too.
   `transcript_text`: a column of `said` with the transcript as one text, for when there is no list of turns.
   `zone`: a column of `said` with the zone of times that name none. `leg_id`: a column of `said` that says whose leg of the call the
   event tells of; null where it tells of the call as a whole.
   `dial_result`: what the platform itself says of whom the dial reached, as an expression of `said`; see `to_dial_result`. #}
{% macro platform_events(
    said,
    analytics_end_the_call=false,
    transcript_text=none,
    zone=none,
    leg_id="cast(null as varchar)",
    dial_result="cast(null as varchar)"
) %}
    {%- set rules = phone_rules() -%}
    {%- set ends_call -%}
        (event_name = 'call.end'{{ " or event_name = 'analytics.completed'" if analytics_end_the_call }})
    {%- endset -%}
    named as (
        select
            *,
            {{ to_event_type("event_type") }} as event_name,
            {{ to_utc("started_at_text", zone=zone) }} as said_started_at,
            {{ to_utc("ended_at_text", zone=zone) }} as said_ended_at,
            {{ to_number("duration_text") }} as said_duration
        from {{ said }}
    ),

    ranked as (
        select
            *,
            case
                event_name
                when 'analytics.completed'
                then 3
                when 'call.end'
                then 2
                when 'call.start'
                then 1
                else 0
            end as event_rank,
            coalesce({{ ends_call }}, false) as ends_call,
            coalesce(
                {{ plausible_time("occurred_at") }},
                {{ to_utc("occurred_at_text", zone=zone) }},
                case
                    when event_name = 'call.start'
                    then coalesce(said_started_at, {{ to_utc("dialled_at_text", zone=zone) }})
                end,
                case when event_name <> 'call.start' then said_ended_at end
            ) as happened_at
        from named
    ),

    final as (
        select
            event_key,
            event_id,
            source,
            event_name as event_type,
            event_rank,
            ends_call,
            call_id,
            source || ':' || call_id as call_key,
            {{ meaningful("parent_call_id") }} as parent_call_id,
            {{ leg_id }} as leg_id,
            happened_at as occurred_at,
            received_at,
            loaded_at,
            {{ meaningful("agent_id") }} as agent_id,
            {{ to_direction("direction_text") }} as direction,
            {{ to_e164("customer_phone_text", rules) }} as customer_phone,
            {{ to_e164("agent_phone_text", rules) }} as agent_phone,
            {{ to_e164("from_phone_text", rules) }} as from_phone,
            {{ to_e164("to_phone_text", rules) }} as to_phone,
            coalesce(said_started_at, case when event_name = 'call.start' then happened_at end) as started_at,
            coalesce(said_ended_at, case when ends_call then happened_at end) as ended_at,
            {{ to_seconds("said_duration", "said_started_at", "said_ended_at") }} as duration_seconds,
            {{ to_line_status("line_status_text") }} as line_status,
            {{ to_dial_result(dial_result) }} as dial_result,
            nullif(trim(end_reason), '') as end_reason,
            {{ to_snake_case(meaningful("disposition_text")) }} as disposition,
            {{ meaningful("summary") }} as summary,
            {{ meaningful("recording_url") }} as recording_url,
            {{ turns_of(turns_or_text("transcript", transcript_text) if transcript_text else "transcript") }}
            as turns,
            {{ json_object_to_map("variables") }} as variables,
            {{ named_measures("measures") }} as metrics,
            {{ names_left_out("variables", "measures") }} as names_left_out
        from ranked
    )
{% endmacro %}

{# Turns somebody said something in, with one name for each role. #}
{% macro turns_of(transcript) -%}
    nullif(
        list_transform(
            list_filter({{ transcript }}, lambda turn:trim(turn.content) <> ''),
            lambda turn: {
                'role': case
                    when lower(turn.role) in ('{{ roles_of_agents() | join("', '") }}')
                    then 'agent'
                    when lower(turn.role) in ('{{ roles_of_customers() | join("', '") }}')
                    then 'customer'
                    else lower(turn.role)
                end,
                'content':turn.content,
                'spoken_at':{{ to_utc("turn.timestamp") }},
                'spoken_until':{{ to_utc("turn.until") }}
            }
        ),
        []
    )
{%- endmacro %}

{# What platforms call the two sides of a talk. #}
{% macro roles_of_agents() -%} {{ return(["agent", "assistant", "bot", "ai", "robot"]) }} {%- endmacro %}

{% macro roles_of_customers() -%}
    {{ return(["user", "customer", "human", "caller", "client", "callee", "lead"]) }}
{%- endmacro %}

{# The shapes that several platforms share. #}
{% macro transcript_shape() -%}
    {{ return([{"role": "VARCHAR", "content": "VARCHAR", "timestamp": "VARCHAR", "until": "VARCHAR"}]) }}
{%- endmacro %}

{# A JSON list of turns, under any of the usual names of their fields. #}
{% macro turns_of_json(document) -%}
    {%- set names = {
        "role": ["role", "speaker", "sender", "user"],
        "content": ["content", "text", "message"],
        "timestamp": ["timestamp", "time", "created_at"],
        "until": ["until"],
    } -%}
    {%- set shape = {} -%}
    {%- for name in names.values() | sum(start=[]) -%}
        {%- do shape.update({name: "VARCHAR"}) -%}
    {%- endfor -%}
    list_transform(
        {{ json_fields(document, [shape]) }},
        lambda turn: {
            {%- for field, spellings in names.items() %}
                '{{ field }}':coalesce(turn."{{ spellings | join('", turn."') }}"){{ "," if not loop.last }}
            {%- endfor %}
        }
    )
{%- endmacro %}

{% macro measures_shape() -%}
    {{
        return(
            [
                {
                    "name": "VARCHAR",
                    "identifier": "VARCHAR",
                    "value": "VARCHAR",
                    "confidence": "DOUBLE",
                    "reasoning": "VARCHAR",
                }
            ]
        )
    }}
{%- endmacro %}

{# Measures as a list of (name, value, confidence, reasoning), whether they came as a list or as an object. #}
{% macro measures_of_list(document) -%}
    list_transform(
        {{ json_fields(document, measures_shape()) }},
        lambda measure: {
            'name':coalesce(measure.identifier, measure.name),
            'value':measure.value,
            'confidence':measure.confidence,
            'reasoning':measure.reasoning
        }
    )
{%- endmacro %}

{# Of a name that stands twice in an object the last comes first, since that is the one that JSON parsers keep. #}
{% macro measures_of_object(document) -%}
    list_transform(
        list_reverse(list_zip(json_keys({{ document }}), json_extract_string({{ document }}, '$.*'))),
        lambda measure: {
            'name':measure[1],
            'value':measure[2],
            'confidence':cast(null as double),
            'reasoning':cast(null as varchar)
        }
    )
{%- endmacro %}
