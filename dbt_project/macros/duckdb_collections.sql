{# Lists and maps inside a row, DuckDB's way; models downstream of staging say what they want by these names only. #}
{# The value of the newest event that has one, by the `recency` of the events of a call. #}
{% macro latest_value(column) -%} max_by({{ column }}, recency) {%- endmacro %}

{# The value of the row with the earliest moment, which may be null; of several at one moment the first by `order`. #}
{% macro value_of_first(column, moment, order) -%}
    min_by(struct_pack(held := {{ column }}), struct_pack(moment := {{ moment }}, tie := {{ order }})).held
{%- endmacro %}

{# Maps of several events as one; each name from the newest event that has it. #}
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

{# Rows of measures as one list of (name, number, value, confidence, reasoning); `number` tells those of one name apart. #}
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

{# The first of several spellings of a variable that says anything. #}
{% macro variable(spellings) -%}
    {%- set values = [] -%}
    {%- for name in spellings -%} {%- do values.append("variables['" ~ name ~ "']") -%} {%- endfor -%}
    {{ first_meaningful(values) }}
{%- endmacro %}

{# The first of several spellings of a variable that holds an e-mail address. #}
{% macro email_variable(spellings) -%}
    {%- set values = [] -%}
    {%- for name in spellings -%} {%- do values.append("variables['" ~ name ~ "']") -%} {%- endfor -%}
    list_filter(
        list_transform([{{ values | join(", ") }}], lambda sent:{{ to_email_address("sent") }}),
        lambda address:address is not null
    )[1]
{%- endmacro %}

{# A row per entry of a map column, as `entry.key` and `entry.value`; or per element of a list. #}
{% macro map_rows(column) -%} unnest(map_entries({{ column }})) {%- endmacro %}

{% macro list_rows(column) -%} unnest({{ column }}) {%- endmacro %}

{# Turns as lines of text, `Agent: …` and `Customer: …`. #}
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

{# The opening of a transcript in one line, cut to the length that `summary_opening_characters` says. #}
{% macro opening_of(turns) -%}
    {%- set length = var("summary_opening_characters") -%}
    {%- set spoken = transcript_text("list_slice(" ~ turns ~ ", 1, 10)", "' '") -%}
    case
        when length({{ spoken }}) > {{ length }}
        then rtrim(left({{ spoken }}, {{ length }} - 1)) || '…'
        else nullif(trim({{ spoken }}), '')
    end
{%- endmacro %}

{# The position of the element that `list_rows` gives in the same row, from 1. #}
{% macro list_positions(column) -%} generate_subscripts({{ column }}, 1) {%- endmacro %}

{# Dates as a list without repeats: those of before, and every day of a span of time. #}
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
