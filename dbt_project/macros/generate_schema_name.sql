{# Schemas are named exactly as configured: staging, intermediate, marts, sync, seeds; no target prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
