{# Columns that a platform does not send, in their types. #}
{% macro no_transcript() -%}
    cast(null as struct("role" varchar, "content" varchar, "timestamp" varchar, "until" varchar)[])
{%- endmacro %}

{% macro no_measures() -%}
    cast(null as struct("name" varchar, "value" varchar, confidence double, reasoning varchar)[])
{%- endmacro %}
