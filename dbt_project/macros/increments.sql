{# Which rows an increment or a full refresh reads. #}
{% macro incremental_filter(column, own_column) -%}
    {%- if not is_incremental() -%} true
    {%- elif this is string -%}  {#- a unit test, where it is the name of a fixture -#}
        {{ column }} > (select coalesce(max({{ own_column }}), timestamp '1970-01-01') from {{ this }})
    {%- elif flags.FULL_REFRESH -%} true
    {%- else -%}
        {%- if execute -%}
            {%- set mark = (
                run_query("select cast(max(" ~ own_column ~ ") as varchar) from " ~ this)
                .columns[0]
                .values()[0]
            ) -%}
        {%- endif -%}
        {{ column }} > timestamp '{{ mark or "1970-01-01" }}'
    {%- endif -%}
{%- endmacro %}

{% macro platforms_with_new_events(platforms, column, own_column) -%}
    {%- if not execute or not is_incremental() or flags.FULL_REFRESH or this is string -%}
        {{ return(platforms) }}
    {%- endif -%}
    {%- set events = graph.sources.values() | selectattr("name", "equalto", "call_events") | first -%}
    {%- set query = (
        "select distinct source from "
        ~ events.relation_name
        ~ " where "
        ~ incremental_filter(column, own_column)
    ) -%}
    {%- set news = run_query(query).columns[0].values() | list -%}
    {{ return(platforms | select("in", news) | list or platforms[:1]) }}
{%- endmacro %}

{% macro built_at() -%}
    {%- set started = "cast('" ~ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") ~ "' as timestamp)" -%}
    {%- if is_incremental() or (flags.FULL_REFRESH and has_column(this, "built_at")) -%}
        greatest(
            {{ started }},
            (select coalesce(max(built_at) + interval 1 microsecond, {{ started }}) from {{ this }})
        )
    {%- else -%} {{ started }}
    {%- endif -%}
{%- endmacro %}

{% macro has_column(relation, column) -%}
    {%- set existing = load_relation(relation) if execute else none -%}
    {{
        return(
            existing is not none
            and column in adapter.get_columns_in_relation(existing) | map(attribute="name")
        )
    }}
{%- endmacro %}

{% macro affected_period_filter(column, period="day") -%}
    {%- if not is_incremental() or flags.FULL_REFRESH -%} true
    {%- elif var("dates_from") -%}
        {{ column }} between cast(
            {{ dbt.date_trunc(period, "cast('" ~ var("dates_from") ~ "' as date)") }} as date
        ) and cast('{{ var("dates_until") or var("dates_from") }}' as date)
    {%- else -%}
        {{ column }} in (
            select distinct cast({{ dbt.date_trunc(period, "touched_date") }} as date)
            from {{ affected_dates() }}
        )
    {%- endif -%}
{%- endmacro %}

{% macro affected_day_filter(column, period="day", also_before=false) -%}
    {%- set first = (0 - var("longest_call_seconds")) // 86400 if also_before else 0 -%}
    {%- set last = 6 if period == "week" else 0 -%}
    {%- if not is_incremental() or flags.FULL_REFRESH -%} true
    {%- elif var("dates_from") -%}
        {{ column }}
        between cast({{ dbt.date_trunc(period, "cast('" ~ var("dates_from") ~ "' as date)") }} as date)
        + {{ first }} and cast(
            {{ dbt.date_trunc(period, "cast('" ~ (var("dates_until") or var("dates_from")) ~ "' as date)") }}
            as date
        )
        + {{ last }}
    {%- else -%}
        {{ column }} in (
            {%- for offset in range(first, last + 1) %}
                select cast({{ dbt.date_trunc(period, "touched_date") }} as date) + {{ offset }}
                from {{ affected_dates() }} {{ "union" if not loop.last }}
            {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}

{% macro affected_dates() -%}
    (
        select {{ list_rows("dates") }} as touched_date
        from {{ ref("int_calls_measured") }}
        where {{ incremental_filter("last_loaded_at", "last_loaded_at") }}
        union
        select call_date as touched_date
        from {{ ref("int_calls_repeats_marked") }}
        where {{ incremental_filter("judged_through", "last_loaded_at") }}
    ) as touched
{%- endmacro %}

{% macro high_water_mark(column) -%}
    {%- if is_incremental() and not flags.FULL_REFRESH and var("dates_from") and this is not string -%}
        least(max({{ column }}), (select max(last_loaded_at) from {{ this }}))
    {%- else -%} max({{ column }})
    {%- endif -%}
{%- endmacro %}

{% macro full_refresh_portions() -%}
    {%- if not execute or not flags.FULL_REFRESH or this is string -%} {{ return(1) }} {%- endif -%}
    {%- set counted = run_query("select count(distinct call_key) from " ~ ref("int_events_unioned")) -%}
    {{
        return(
            (counted.columns[0].values()[0] / var("full_refresh_portion_calls")) | round(0, "ceil") | int
            or 1
        )
    }}
{%- endmacro %}

{% macro is_in_first_portion(key) -%}
    {%- set portions = full_refresh_portions() | int -%}
    {%- if portions == 1 -%} true
    {%- else -%} {{ portion_filter(key, 0, portions) }}
    {%- endif -%}
{%- endmacro %}

{% macro portion_filter(key, portion, portions) -%}
    hash({{ key }}) % {{ portions }} = {{ portion }}
{%- endmacro %}

{% macro insert_remaining_portions(key="call_key") -%}
    {%- set portions = full_refresh_portions() | int -%}
    {%- set first = portion_filter(key, 0, portions) -%}
    {%- for portion in range(1, portions) -%}
        insert into {{ this }} {{ model.compiled_code | replace(first, portion_filter(key, portion, portions)) }};
    {%- endfor -%}
{%- endmacro %}
