{# Arithmetic on UTC times with fractions of a second, which dbt's cross-database macros round away. #}
{% macro seconds_after(moment, seconds) -%}
    ({{ moment }} + to_microseconds(cast(round(({{ seconds }}) * 1000000) as bigint)))
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}(epoch({{ later }}) - epoch({{ earlier }})) {%- endmacro %}

{# The date some working days (Monday to Friday) after a date. A weekend counts as the Friday before it. #}
{% macro working_days_after(day, days) -%}
    {%- set weekday = "least(isodow(" ~ day ~ "), 5)" -%}
    cast(
        {{ day }}
        - cast(isodow({{ day }}) - {{ weekday }} as integer)
        + {{ days }}
        + cast(2 * floor(({{ weekday }} - 1 + {{ days }}) / 5) as integer) as date
    )
{%- endmacro %}

{# A time as text that sorts like the time, unknown first. #}
{% macro sortable(moment) -%}
    lpad(cast(coalesce(epoch_us({{ moment }}), 0) as varchar), 18, '0')
{%- endmacro %}

{# A sum to the millisecond that does not depend on the order of its terms, as a sum of binary fractions would. #}
{% macro exact_sum(seconds) -%} cast(sum(cast({{ seconds }} as decimal(18, 3))) as double) {%- endmacro %}
