{# The parts that all staging models of platforms share, from the raw event to the common columns. #}
{% macro platform_deliveries(platform, shape, document="payload") %}
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
            {{ json_fields(document, shape) }} as body
        from {{ source("raw", "call_events") }}
        where source = '{{ platform }}'
    )
{% endmacro %}

{% macro platform_events(
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
    -- What the platform does not send is null: columns are matched by name.
    all_fields as (
        select
            {% for name in text_fields() %} cast(null as varchar) as {{ name }}, {% endfor %}
            {{ no_transcript() }} as transcript,
            cast(null as json) as variables,
            {{ no_measures() }} as measures
        where false
        union all by name
        select *
        from source_fields
    ),

    named as (
        select
            *,
            {{ to_event_type("event_type") }} as event_name,
            {{ to_utc("started_at_text", zone=zone) }} as reported_started_at,
            {{ to_utc("ended_at_text", zone=zone) }} as reported_ended_at,
            {{ to_number("duration_text") }} as reported_duration
        from all_fields
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
                    then coalesce(reported_started_at, {{ to_utc("dialled_at_text", zone=zone) }})
                end,
                case when event_name <> 'call.start' then reported_ended_at end
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
            coalesce(
                reported_started_at, case when event_name = 'call.start' then happened_at end
            ) as started_at,
            coalesce(reported_ended_at, case when ends_call then happened_at end) as ended_at,
            {{ to_seconds("reported_duration", "reported_started_at", "reported_ended_at") }}
            as duration_seconds,
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

{% macro text_fields() -%}
    {{
        return(
            [
                "occurred_at_text",
                "dialled_at_text",
                "agent_id",
                "direction_text",
                "customer_phone_text",
                "agent_phone_text",
                "from_phone_text",
                "to_phone_text",
                "started_at_text",
                "ended_at_text",
                "duration_text",
                "line_status_text",
                "parent_call_id",
                "end_reason",
                "disposition_text",
                "summary",
                "recording_url",
            ]
        )
    }}
{%- endmacro %}

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

{% macro roles_of_agents() -%} {{ return(["agent", "assistant", "bot", "ai", "robot"]) }} {%- endmacro %}

{% macro roles_of_customers() -%}
    {{ return(["user", "customer", "human", "caller", "client", "callee", "lead"]) }}
{%- endmacro %}

{% macro transcript_shape() -%}
    {{ return([{"role": "VARCHAR", "content": "VARCHAR", "timestamp": "VARCHAR", "until": "VARCHAR"}]) }}
{%- endmacro %}

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
