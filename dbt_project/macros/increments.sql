{# True for rows that this model has not seen: strictly newer than its own high-water mark, so a build that stopped between two
   models is caught up with by the next. The mark is written into the query as a constant, which lets the database skip
   what is older by its block statistics. A full refresh, also of a model that keeps its rows, sees everything. #}
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

{# Of these platforms, those with events that this model has not seen; the first one where there are none, since a union needs a
   member. In an increment only their views are asked: to plan one costs 36 ms, with or without a row in it. The table is asked
   by its name, because what it decides is how much is read and never what: lineage goes through the views. #}
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

{# The build that touches a row, as a time in UTC that is later than any before it, even when the clock runs back, and also in a
   full refresh: who remembers how far it read would otherwise take the new rows for old ones. #}
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

{# Whether a relation is there and has the column. #}
{% macro has_column(relation, column) -%}
    {%- set existing = load_relation(relation) if execute else none -%}
    {{
        return(
            existing is not none
            and column in adapter.get_columns_in_relation(existing) | map(attribute="name")
        )
    }}
{%- endmacro %}

{# True for rows of the days (or weeks) that have to be made anew: those that a call with news stands on or ever stood on, and
   of calls that a later one repeats; the range `dates_from` to `dates_until`, when somebody asked for one; all of them
   in a full refresh. `column` is the first day of the row's period. #}
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

{# The same for rows of calls by their day: true on every day of such a period, and where `also_before` on as many days before it as
   the longest call can last over. A list of days, since the database looks those up before it joins. #}
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

{# The newest load in a row of a period. A range that somebody asked for says nothing of the days beside it, so it does not
   move the high-water mark. #}
{% macro high_water_mark(column) -%}
    {%- if is_incremental() and not flags.FULL_REFRESH and var("dates_from") and this is not string -%}
        least(max({{ column }}), (select max(last_loaded_at) from {{ this }}))
    {%- else -%} max({{ column }})
    {%- endif -%}
{%- endmacro %}
