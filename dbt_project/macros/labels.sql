{# How facts are worded for people in other systems. #}
{# The customer's name, else the number, else words that say that neither is known. #}
{% macro customer_label(call) -%}
    coalesce({{ call }}.customer_name, {{ call }}.customer_phone, 'unknown customer')
{%- endmacro %}

{# The outcome in words: why nobody was reached, else the disposition, else whether it was resolved, else how the line was closed. #}
{% macro outcome_label(call) -%}
    coalesce(
        case when not {{ call }}.is_reached then replace({{ call }}.answer_status, '_', ' ') end,
        replace({{ call }}.disposition, '_', ' '),
        case
            when {{ call }}.is_resolved then 'resolved' when not {{ call }}.is_resolved then 'unresolved'
        end,
        replace({{ call }}.status, '_', ' ')
    )
{%- endmacro %}

{# "rental_car" as "Rental car". #}
{% macro as_title(value) -%}
    upper(left({{ value }}, 1)) || replace(substring({{ value }}, 2), '_', ' ')
{%- endmacro %}

{# What is known of several texts, a blank line between them. #}
{% macro paragraphs(values) -%} concat_ws(chr(10) || chr(10), {{ values | join(", ") }}) {%- endmacro %}

{# Whole minutes, at least one. #}
{% macro whole_minutes(seconds) -%}
    cast(case when {{ seconds }} < 60 then 1 else round({{ seconds }} / 60) end as integer)
{%- endmacro %}

{# A headline of the seed slack_channels with the call's words for {customer}, {outcome} and {summary}. The summary is
   filled in last, and a name loses its braces: what a stranger said is never taken for a placeholder. #}
{% macro slack_headline(template, call) -%}
    replace(
        replace(
            replace({{ template }}, '{customer}', replace({{ customer_label(call) }}, '{', '(')),
            '{outcome}',
            replace({{ outcome_label(call) }}, '{', '(')
        ),
        '{summary}',
        coalesce({{ call }}.summary, {{ customer_label(call) }})
    )
{%- endmacro %}

{# An aggregate over the calls whose number the telephone network said; where there is none, over all. #}
{% macro of_verified_calls(aggregate, value, by=none) -%}
    {%- set order = ", " ~ by if by else "" -%}
    case
        when bool_or(calls.is_phone_verified)
        then {{ aggregate }} (case when calls.is_phone_verified then {{ value }} end{{ order }})
        else {{ aggregate }} ({{ value }}{{ order }})
    end
{%- endmacro %}
