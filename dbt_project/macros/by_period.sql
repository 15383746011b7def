{# The incremental strategy that counts whole days or weeks again. #}
{% macro get_incremental_by_period_sql(arguments) -%}
    {%- set column = config.require("period_column") -%}
    {%- set name = config.get("period_name_column") %}
    delete from {{ arguments["target_relation"] }}
    where
        {% if name %}
            ({{ name }} = 'day' and {{ affected_period_filter(column, "day") }})
            or ({{ name }} = 'week' and {{ affected_period_filter(column, "week") }})
        {% else %} {{ affected_period_filter(column, "day") }}
        {% endif %}
    ;

    {{
        get_insert_into_sql(
            arguments["target_relation"], arguments["temp_relation"], arguments["dest_columns"]
        )
    }}
{%- endmacro %}
