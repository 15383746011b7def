{# Incremental strategy `by_period`: the periods that have to be made anew are taken out whole, also those in which no call is
   left, and put in as they are now. Needs the configs `period_column` and, for weeks, `period`. #}
{% macro get_incremental_by_period_sql(arguments) -%}
    delete from {{ arguments["target_relation"] }}
    where {{ affected_period_filter(config.require("period_column"), config.get("period", "day")) }}
    ;

    {{
        get_insert_into_sql(
            arguments["target_relation"], arguments["temp_relation"], arguments["dest_columns"]
        )
    }}
{%- endmacro %}
