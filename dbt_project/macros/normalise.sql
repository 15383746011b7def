{# One spelling for what platforms write in many ways. Text that cannot be read is null. #}
{% macro to_utc(value, received_at="received_at", zone=none) -%}
    {%- set text = "trim(" ~ value ~ ")" -%}
    {%- set parsed -%}
        case
            when regexp_full_match({{ value }}, '[0-9]{10}(\.[0-9]+)?')
            then make_timestamp(try_cast(try_cast({{ value }} as double) * 1000000 as bigint))
            when regexp_full_match({{ value }}, '[0-9]{13}')
            then make_timestamp(try_cast({{ value }} as bigint) * 1000)
            {%- if zone %}
                when {{ zone }} is not null and regexp_full_match({{ text }}, '{{ local_time_pattern() }}')
                then
                    coalesce(
                        {{ offset_time(text, zone) }},
                        cast(timezone({{ known_zone(zone) }}, try_cast({{ text }} as timestamp)) as timestamp),
                        try_cast({{ text }} as timestamp)
                    )
            {%- endif %}
            else cast(try_cast({{ value }} as timestamptz) as timestamp)
        end
    {%- endset -%}
    {{ plausible_time(parsed, received_at) }}
{%- endmacro %}

{% macro plausible_time(value, received_at="received_at") -%}
    case
        when
            {{ value }} between timestamp '2000-01-01' and coalesce(
                {{ received_at }} + interval 1 day, timestamp '2100-01-01'
            )
        then {{ value }}
    end
{%- endmacro %}

{% macro known_zone(zone) -%}
    (
        select map_from_entries(list(struct_pack(k := spelled, v := name)))
        from (select lower(name) as spelled, min(name) as name from pg_timezone_names() group by 1)
    )[lower(trim({{ zone }}))]
{%- endmacro %}

{% macro local_time_pattern() -%}
    {%- set pattern = "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?" -%}
    {{ return(pattern) }}
{%- endmacro %}

{% macro offset_time(text, zone) -%}
    {%- set offset = "^(?:(?i:UTC|GMT))?([+-])([0-9]{1,2}):?([0-9]{2})?$" -%}
    cast(
        try_cast(
            case
                when regexp_matches(trim({{ zone }}), '{{ offset }}')
                then
                    {{ text }} || case
                        when regexp_full_match({{ text }}, '.{11}[0-9]{2}:[0-9]{2}') then ':00' else ''
                    end
                    || regexp_extract(trim({{ zone }}), '{{ offset }}', 1)
                    || lpad(regexp_extract(trim({{ zone }}), '{{ offset }}', 2), 2, '0')
                    || ':'
                    || rpad(regexp_extract(trim({{ zone }}), '{{ offset }}', 3), 2, '0')
            end as timestamptz
        ) as timestamp
    )
{%- endmacro %}

{% macro to_seconds(value, started_at, ended_at) -%}
    {%- set span -%}
        (epoch({{ ended_at }}) - epoch({{ started_at }}))
    {%- endset -%}
    case
        when {{ value }} is null or not isfinite({{ value }}) or {{ value }} < 0
        then null
        when
            abs({{ value }} / 1000 - {{ span }}) <= greatest(2, {{ span }} * 0.1)
            and abs({{ value }} - {{ span }}) > abs({{ value }} / 1000 - {{ span }})
        then {{ value }} / 1000
        when {{ value }} / 1000 > {{ var("longest_call_seconds") }}
        then null
        when {{ value }} > {{ var("longest_call_seconds") }}
        then {{ value }} / 1000
        else {{ value }}
    end
{%- endmacro %}

{% macro to_boolean(value) -%}
    case
        when lower(trim({{ value }})) in ('true', 't', 'yes', 'y', '1', '1.0', 'on')
        then true
        when lower(trim({{ value }})) in ('false', 'f', 'no', 'n', '0', '0.0', 'off')
        then false
    end
{%- endmacro %}

{% macro to_number(value) -%}
    case when isfinite(try_cast({{ value }} as double)) then try_cast({{ value }} as double) end
{%- endmacro %}

{% macro to_snake_case(value) -%}
    nullif(
        trim(
            lower(
                regexp_replace(
                    regexp_replace({{ value }}, '([\p{Ll}0-9])(\p{Lu})', '\1_\2', 'g'),
                    '[^\p{L}\p{M}\p{N}]+',
                    '_',
                    'g'
                )
            ),
            '_'
        ),
        ''
    )
{%- endmacro %}

{% macro to_direction(value) -%}
    case
        when lower({{ value }}) like '%inbound%' or lower({{ value }}) = 'incoming'
        then 'inbound'
        when lower({{ value }}) like '%outbound%' or lower({{ value }}) = 'outgoing'
        then 'outbound'
        when lower({{ value }}) like '%web%'
        then 'web'
    end
{%- endmacro %}

{% macro to_line_status(value) -%}
    case
        {{ to_snake_case(value) }}
        when 'canceled'
        then 'cancelled'
        when 'noanswer'
        then 'no_answer'
        else {{ to_snake_case(value) }}
    end
{%- endmacro %}

{% macro to_dial_result(value, leave_out=[]) -%}
    {%- set words = {
        "person": ["person", "human", "human_residence", "human_business", "answered"],
        "voicemail": [
            "voicemail",
            "voicemail_reached",
            "voicemail_left",
            "voicemail_message_left",
            "left_voicemail",
            "hangup_on_voicemail",
            "machine",
            "machine_start",
            "machine_end_beep",
            "machine_end_silence",
            "machine_end_other",
            "answering_machine",
            "ivr",
            "ivr_reached",
            "fax",
            "fax_detected",
        ],
        "busy": ["busy", "user_busy", "dial_busy", "customer_busy", "line_busy"],
        "no_answer": [
            "no_answer",
            "noanswer",
            "dial_no_answer",
            "customer_did_not_answer",
            "not_answered",
            "unanswered",
            "unjoined",
        ],
        "declined": ["declined", "rejected", "user_declined", "call_rejected"],
        "cancelled": ["cancelled", "canceled", "originator_cancel"],
        "failed": ["failed", "dial_failed", "invalid_destination", "not_found"],
    } -%}
    {%- set spellings, results = [], [] -%}
    {%- for result, spelled in words.items() if result not in leave_out -%}
        {%- for spelling in spelled -%}
            {%- do spellings.append("'" ~ spelling ~ "'") -%} {%- do results.append("'" ~ result ~ "'") -%}
        {%- endfor -%}
    {%- endfor -%}
    map([{{ spellings | join(", ") }}], [{{ results | join(", ") }}])[{{ to_snake_case(value) }}]
{%- endmacro %}

{% macro to_dial_result_of_line(value) -%}
    {{ to_dial_result(value, leave_out=["failed", "cancelled"]) }}
{%- endmacro %}

{% macro to_event_type(value) -%}
    case
        when lower({{ value }}) in ('call.start', 'call.started', 'call_started', 'pre-conversation')
        then 'call.start'
        when lower({{ value }}) in ('call.end', 'call.ended', 'call_ended', 'post-conversation')
        then 'call.end'
        when lower({{ value }}) in ('analytics.completed', 'call_analyzed', 'analytics-completed')
        then 'analytics.completed'
        else {{ value }}
    end
{%- endmacro %}

{% macro queue_of(relation) -%} coalesce({{ relation }}.queue, '{{ var("default_queue") }}') {%- endmacro %}
