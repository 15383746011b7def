{# Keys of one text from several parts. Not here: `call_key`, whose first part is a platform's name and so never has a colon, and
   the keys of actions. #}
{# The parts with a colon between them. Two different lists of parts never give one key: a part that holds a separator (`:`, `#`)
   or the sign that escapes it (`\`) has each of them escaped. A part without them stays as it is. Null if a part is null. #}
{% macro key_of(parts) -%}
    {%- for part in parts -%} {{ key_part(part) }}{{ " || ':' || " if not loop.last }}{%- endfor -%}
{%- endmacro %}

{% macro key_part(value) -%} regexp_replace({{ value }}, '([\\:#])', '\\\1', 'g') {%- endmacro %}
