{# What judging days by the days before them needs. #}
{# Today, UTC: the day that is not over. #}
{% macro today_utc() -%} cast(now() at time zone 'UTC' as date) {%- endmacro %}

{# A row per day from the first to the last, both included. #}
{% macro day_rows(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval '1 day')) as date)
{%- endmacro %}

{# The value in the middle, which a few odd days do not move as they would a mean. #}
{% macro median_of(column) -%} percentile_cont(0.5) within group (order by {{ column }}) {%- endmacro %}

{# Whole days from one date to a later one. #}
{% macro days_between(earlier, later) -%} {{ dbt.datediff(earlier, later, "day") }} {%- endmacro %}
