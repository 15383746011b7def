{# Keys made of several parts. Not `call_key`, whose first part never holds a colon, and not the keys of actions. #}
{% macro key_of(parts) -%}
    {%- for part in parts -%} {{ key_part(part) }}{{ " || ':' || " if not loop.last }}{%- endfor -%}
{%- endmacro %}

{% macro key_part(value) -%} regexp_replace({{ value }}, '([\\:#])', '\\\1', 'g') {%- endmacro %}
