{# What a platform never says, in the type that `platform_events` expects. #}
{% macro no_transcript() -%}
    cast(null as struct("role" varchar, "content" varchar, "timestamp" varchar, "until" varchar)[])
{%- endmacro %}

{% macro no_measures() -%}
    cast([] as struct("name" varchar, "value" varchar, confidence double, reasoning varchar)[])
{%- endmacro %}

{% macro no_variables() -%} cast('{}' as json) {%- endmacro %}
