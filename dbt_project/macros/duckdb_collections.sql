{# Lists and maps in a row. Models downstream of staging use these names instead of DuckDB's functions. #}
{% macro latest_value(column) -%} max_by({{ column }}, recency) {%- endmacro %}

{% macro value_of_first(column, moment, order) -%}
    min_by(struct_pack(held := {{ column }}), struct_pack(moment := {{ moment }}, tie := {{ order }})).held
{%- endmacro %}

{% macro latest_of_each_name(column) -%}
    {{
        last_of_each_name(
            "flatten(list(list_zip(map_keys("
            ~ column
            ~ "), map_values("
            ~ column
            ~ ")) order by recency) filter (where "
            ~ column
            ~ " is not null))",
            prefers_meaningful=true,
        )
    }}
{%- endmacro %}

{% macro list_of_measures(name, number, measure) -%}
    list(
        struct_pack(
            name := {{ name }},
            number := {{ number }},
            value := {{ measure }}.value,
            confidence := {{ measure }}.confidence,
            reasoning := {{ measure }}.reasoning
        )
        order by {{ name }}, {{ number }}
    )
{%- endmacro %}

{% macro variable(spellings) -%}
    {%- set values = [] -%}
    {%- for name in spellings -%} {%- do values.append("variables['" ~ name ~ "']") -%} {%- endfor -%}
    {{ first_meaningful(values) }}
{%- endmacro %}

{% macro email_variable(spellings) -%}
    {%- set values = [] -%}
    {%- for name in spellings -%} {%- do values.append("variables['" ~ name ~ "']") -%} {%- endfor -%}
    list_filter(
        list_transform([{{ values | join(", ") }}], lambda sent:{{ to_email_address("sent") }}),
        lambda address:address is not null
    )[1]
{%- endmacro %}

{% macro map_rows(column) -%} unnest(map_entries({{ column }})) {%- endmacro %}

{% macro list_rows(column) -%} unnest({{ column }}) {%- endmacro %}

{% macro transcript_text(turns, separator="chr(10)") -%}
    array_to_string(
        list_transform(
            {{ turns }},
            lambda turn:
            case
                turn.role
                when 'agent'
                then 'Agent: '
                when 'customer'
                then 'Customer: '
                else coalesce(turn.role || ': ', '')
            end
            || turn.content
        ),
        {{ separator }}
    )
{%- endmacro %}

{% macro list_length(column) -%} len({{ column }}) {%- endmacro %}

{% macro opening_of(turns) -%}
    {%- set length = var("summary_opening_characters") -%}
    {%- set spoken = transcript_text("list_slice(" ~ turns ~ ", 1, 10)", "' '") -%}
    case
        when length({{ spoken }}) > {{ length }}
        then rtrim(left({{ spoken }}, {{ length }} - 1)) || '…'
        else nullif(trim({{ spoken }}), '')
    end
{%- endmacro %}

{% macro list_positions(column) -%} generate_subscripts({{ column }}, 1) {%- endmacro %}

{% macro dates_with(before, began_at, ended_at) -%}
    list_sort(
        list_distinct(
            list_concat(
                coalesce({{ before }}, {{ no_dates() }}),
                cast(
                    generate_series(
                        cast({{ began_at }} as date), cast({{ ended_at }} as date), interval '1 day'
                    ) as date[]
                )
            )
        )
    )
{%- endmacro %}

{% macro no_dates() -%} cast([] as date[]) {%- endmacro %}
