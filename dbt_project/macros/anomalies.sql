{# Dates and medians for judging a day by the days before it. #}
{% macro today_utc() -%} cast(now() at time zone 'UTC' as date) {%- endmacro %}

{% macro day_rows(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval '1 day')) as date)
{%- endmacro %}

{% macro median_of(column) -%} percentile_cont(0.5) within group (order by {{ column }}) {%- endmacro %}

{% macro days_between(earlier, later) -%} {{ dbt.datediff(earlier, later, "day") }} {%- endmacro %}
