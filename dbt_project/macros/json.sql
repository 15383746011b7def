{# Reading JSON. A value of another type than expected is null, never an error. #}
{% macro json_fields(document, shape) -%}
    json_transform({{ document }}, '{{ tojson(shape) }}')
{%- endmacro %}

{% macro json_object_to_map(document, most=none) -%}
    {%- set places = "[:" ~ (most or var("names_per_event")) ~ "]" -%}
    {{
        last_of_each_name(
            "list_zip(json_keys("
            ~ document
            ~ ")"
            ~ places
            ~ ", json_extract_string("
            ~ document
            ~ ", '$.*')"
            ~ places
            ~ ")"
        )
    }}
{%- endmacro %}

{% macro last_of_each_name(pairs, prefers_meaningful=false) -%}
    {%- set place -%}
        {%- if prefers_meaningful -%}
            case when {{ stands_for_nothing("cast(pair[2] as varchar)") }} then 1000000000 - place else -place end
        {%- else -%} -place
        {%- endif -%}
    {%- endset -%}
    {%- set by_name -%}
        list_sort(
            list_transform(
                list_filter({{ pairs }}, lambda pair:pair[2] is not null),
                lambda pair,
                place: {'name':pair[1], 'place': {{ place }}, 'value':pair[2]}
            )
        )
    {%- endset -%}
    {# As the argument of a lambda the list is sorted once. Zipped are names alone: DuckDB gives a struct that is null the fields
       of another row. #}
    list_transform(
        [{{ by_name }}],
        lambda by_name:
        case
            when by_name is not null
            then
                map_from_entries(
                    list_transform(
                        list_filter(
                            list_zip(
                                list_prepend(null, list_transform(by_name, lambda entry:entry.name)),
                                by_name,
                                true
                            ),
                            lambda entry:entry[1] is distinct from entry[2].name
                        ),
                        lambda entry:struct_pack(k := entry[2].name, v := entry[2].value)
                    )
                )
        end
    )[1]
{%- endmacro %}

{% macro named_measures(measures) -%}
    list_filter({{ measures }}, lambda measure:measure.name is not null)[:{{ var("names_per_event") }}]
{%- endmacro %}

{% macro names_left_out(variables, measures) -%}
    (
        greatest(coalesce(len(json_keys({{ variables }})), 0) - {{ var("names_per_event") }}, 0)
        + greatest(coalesce(len({{ measures }}), 0) - {{ var("names_per_event") }}, 0)
    )
{%- endmacro %}
