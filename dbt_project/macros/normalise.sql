{# What platforms write in many ways, written one way. Each takes and returns an SQL expression; unreadable text becomes null. #}
{# A time in UTC: ISO 8601 with or without an offset, or a Unix time in seconds (10 digits) or milliseconds (13).
   Outside 2000 to 2100 it is no time of a call. No cast here may fail: DuckDB takes what stands twice in a query out of its `case`. #}
{% macro to_utc(value) -%}
    {%- set parsed -%}
        case
            when regexp_full_match({{ value }}, '[0-9]{10}(\.[0-9]+)?')
            then make_timestamp(try_cast(try_cast({{ value }} as double) * 1000000 as bigint))
            when regexp_full_match({{ value }}, '[0-9]{13}')
            then make_timestamp(try_cast({{ value }} as bigint) * 1000)
            else cast(try_cast({{ value }} as timestamptz) as timestamp)
        end
    {%- endset -%}
    {{ plausible_time(parsed) }}
{%- endmacro %}

{% macro plausible_time(value) -%}
    case when {{ value }} between timestamp '2000-01-01' and timestamp '2100-01-01' then {{ value }} end
{%- endmacro %}

{# Seconds, from a number or its text. Milliseconds are recognised by the call's own times where both are known, else by being
   longer than any call. #}
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

{# true, false, or null for what is neither. #}
{% macro to_boolean(value) -%}
    case
        when lower(trim({{ value }})) in ('true', 't', 'yes', 'y', '1', '1.0', 'on')
        then true
        when lower(trim({{ value }})) in ('false', 'f', 'no', 'n', '0', '0.0', 'off')
        then false
    end
{%- endmacro %}

{# A finite number, or null. #}
{% macro to_number(value) -%}
    case when isfinite(try_cast({{ value }} as double)) then try_cast({{ value }} as double) end
{%- endmacro %}

{# Lower snake case: "Completed-Goal", "completedGoal" and "completed goal" are completed_goal. #}
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

{# E.164 (+ and up to 15 digits). `00` before the number is a plus; a number without a country code gets the default one, with or
   without its trunk prefix. Other digits are kept as they are, without a plus, because a short number still tells customers
   apart. Text that is no number ("anonymous", a masked number) is null. `integrations/phones.py` reads numbers the same way. #}
{% macro to_e164(value) -%}
    {%- set code = var("default_country_code") -%}
    {%- set trunk = var("default_trunk_prefix") -%}
    {%- set national = var("default_national_number") -%}
    {#- Where people dial a 0 before a national number and none after the country's code, and so write +49 (0)30. Not Italy: it stays. #}
    {%- set trunk_is_zero = (
        "20|27|31|32|33|4[01346]|49|51|53|54|55|58|6[0-46]|8[1246]|9[0-58]|21[1238]|23[1-4]|243|249|25[0-6]|26[0-5]|291"
        ~ "|353|355|358|359|370|37[347]|38[0-35-79]|42[13]|508|59[0134568]|686|850|85[56]|880|886|96[1-467]|97[01267]|99[4-6]"
    ) -%}
    {%- set dialled -%}
        regexp_replace(
            split_part(split_part(regexp_replace(lower(trim({{ value }})), '^(tel|sips?):', ''), '@', 1), ';', 1),
            '(\s*ext[. ]*[0-9]+$)|[\s().\-/\x{a0}\x{2010}-\x{2015}]',
            '',
            'g'
        )
    {%- endset -%}
    {%- set with_trunk = "0[1-9][0-9]{5,11}" if trunk == "0" else trunk ~ "(" ~ national ~ ")" -%}
    {%- set abroad = "([+]|00|011)" if code == "1" else "([+]|00)" -%}
    case
        when regexp_full_match({{ dialled }}, '{{ abroad }}[1-9][0-9]{5,14}')
        then
            regexp_replace(
                regexp_replace({{ dialled }}, '^{{ abroad }}', '+'), '^[+]({{ trunk_is_zero }})0', '+\1'
            )
        {% if code %}
            when regexp_full_match({{ dialled }}, '{{ with_trunk }}')
            then '+{{ code }}' || regexp_replace({{ dialled }}, '^{{ trunk }}', '')
            when regexp_full_match({{ dialled }}, '{{ code }}({{ national }})')
            then '+' || {{ dialled }}
            when regexp_full_match({{ dialled }}, '{{ national }}')
            then '+{{ code }}' || {{ dialled }}
        {% endif %}
        when regexp_full_match({{ dialled }}, '[1-9][0-9]{10,14}')
        then '+' || {{ dialled }}
        when regexp_full_match({{ dialled }}, '\+?[0-9]{3,20}')
        then ltrim({{ dialled }}, '+')
    end
{%- endmacro %}

{# inbound, outbound, web or null. #}
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

{# How the line was closed, one spelling each. Says nothing about the outcome. #}
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

{# Whom a dial reached, by a word that a platform has for it: `person`, `voicemail` (any machine), `busy`, `no_answer`, `declined`,
   `cancelled`, `failed`. Null for every other word, such as one that says who hung up. A lookup: the database plans a `case` of
   as many branches, in every staging model, for much longer. #}
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

{# The same by a line's status. `failed` and `cancelled` also end calls on which somebody spoke, so a status alone says no such thing. #}
{% macro to_dial_result_of_line(value) -%}
    {{ to_dial_result(value, leave_out=["failed", "cancelled"]) }}
{%- endmacro %}

{# Three events carry a call; the same three under every name a platform gives them. Other events keep their name. #}
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

{# The queue of a call's issue type, from the seed's rows joined as `relation`; the default one where the seed has none. #}
{% macro queue_of(relation) -%} coalesce({{ relation }}.queue, '{{ var("default_queue") }}') {%- endmacro %}
