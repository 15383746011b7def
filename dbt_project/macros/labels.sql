{# Texts for people in other systems. #}
{% macro customer_label(call) -%}
    coalesce({{ call }}.customer_name, {{ call }}.customer_phone, 'unknown customer')
{%- endmacro %}

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

{% macro as_title(value) -%}
    upper(left({{ value }}, 1)) || replace(substring({{ value }}, 2), '_', ' ')
{%- endmacro %}

{% macro paragraphs(values) -%} concat_ws(chr(10) || chr(10), {{ values | join(", ") }}) {%- endmacro %}

{% macro whole_minutes(seconds) -%}
    cast(case when {{ seconds }} < 60 then 1 else round({{ seconds }} / 60) end as integer)
{%- endmacro %}

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

{% macro of_verified_calls(aggregate, value, by=none) -%}
    {%- set order = ", " ~ by if by else "" -%}
    case
        when bool_or(calls.is_phone_verified)
        then {{ aggregate }} (case when calls.is_phone_verified then {{ value }} end{{ order }})
        else {{ aggregate }} ({{ value }}{{ order }})
    end
{%- endmacro %}
