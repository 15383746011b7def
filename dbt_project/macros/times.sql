{# Arithmetic on UTC times with fractions of a second. #}
{% macro seconds_after(moment, seconds) -%}
    ({{ moment }} + to_microseconds(cast(round(({{ seconds }}) * 1000000.0) as bigint)))
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}(epoch({{ later }}) - epoch({{ earlier }})) {%- endmacro %}

{% macro working_days_after(day, days) -%}
    {%- set weekday = "least(isodow(" ~ day ~ "), 5)" -%}
    cast(
        {{ day }}
        - cast(isodow({{ day }}) - {{ weekday }} as integer)
        + {{ days }}
        + cast(2 * floor(({{ weekday }} - 1 + {{ days }}) / 5) as integer) as date
    )
{%- endmacro %}

{% macro sort_key_timestamp(moment) -%}
    lpad(cast(coalesce(epoch_us({{ moment }}), 0) as varchar), 18, '0')
{%- endmacro %}

{% macro decimal_sum(value, decimals=3) -%}
    cast(sum(cast({{ value }} as decimal({{ 15 + decimals }}, {{ decimals }}))) as double)
{%- endmacro %}

{% macro call_end(began_at, ended_at, duration_seconds) -%}
    case
        when coalesce({{ ended_at }}, {{ seconds_after(began_at, duration_seconds) }}) < {{ began_at }}
        then {{ began_at }}
        when
            coalesce({{ ended_at }}, {{ seconds_after(began_at, duration_seconds) }})
            > {{ seconds_after(began_at, var("longest_call_seconds")) }}
        then {{ seconds_after(began_at, var("longest_call_seconds")) }}
        else coalesce({{ ended_at }}, {{ seconds_after(began_at, duration_seconds) }})
    end
{%- endmacro %}

{% macro quarter_of(moment) -%} time_bucket(interval '15 minutes', {{ moment }}) {%- endmacro %}

{% macro quarter_rows(began_at, ended_at) -%}
    unnest(
        generate_series(
            {{ quarter_of(began_at) }},
            greatest({{ began_at }}, {{ ended_at }} - interval '1 microsecond'),
            interval '15 minutes'
        )
    )
{%- endmacro %}

{% macro week_of(day) -%} cast({{ dbt.date_trunc("week", day) }} as date) {%- endmacro %}

{% macro hour_of(moment) -%} cast({{ dbt.date_trunc("hour", moment) }} as timestamp) {%- endmacro %}

{% macro seconds_in_quarter(began_at, ended_at, quarter_start) -%}
    coalesce(
        {{
            seconds_between(
                "greatest(" ~ began_at ~ ", " ~ quarter_start ~ ")",
                "case when "
                ~ ended_at
                ~ " is not null then least("
                ~ ended_at
                ~ ", "
                ~ seconds_after(quarter_start, 900)
                ~ ") end",
            )
        }},
        0
    )
{%- endmacro %}

{% macro epoch_text(moment) -%} cast(cast(epoch({{ moment }}) as bigint) as varchar) {%- endmacro %}
