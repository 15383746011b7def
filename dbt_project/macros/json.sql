{# Reading JSON, DuckDB's way. A value of another type than expected becomes null, never an error. #}
{# A whole document in one parse, as nested columns; `shape` says names and types, text stands for any scalar. #}
{% macro json_fields(document, shape) -%}
    json_transform({{ document }}, '{{ tojson(shape) }}')
{%- endmacro %}

{# A JSON object as a map from name to text, without its nulls; of a name that stands twice, the last. #}
{% macro json_object_to_map(document) -%}
    {{
        newest_of_pairs(
            "list_zip(json_keys(" ~ document ~ "), json_extract_string(" ~ document ~ ", '$.*'))"
        )
    }}
{%- endmacro %}

{% macro newest_of_pairs(pairs) -%}
    map_from_entries(
        list_filter(
            list_reverse(list_filter({{ pairs }}, lambda pair:pair[2] is not null)),
            lambda pair,
            position:
            list_position(
                list_transform(
                    list_reverse(list_filter({{ pairs }}, lambda pair:pair[2] is not null)),
                    lambda other:other[1]
                ),
                pair[1]
            )
            = position
        )
    )
{%- endmacro %}

{# Measures as a map from name to a list of (value, confidence, reasoning): what an event says under a name, in the order sent,
   what has no value last. #}
{% macro measures_to_map(measures) -%}
    map_from_entries(
        list_transform(
            list_filter(
                {{ measures }},
                lambda measure,
                position:
                measure.name is not null
                and list_position(list_transform({{ measures }}, lambda other:other.name), measure.name)
                = position
            ),
            lambda named:struct_pack(
                name := named.name,
                measured := list_transform(
                    list_concat(
                        list_filter(
                            {{ measures }}, lambda other:other.name = named.name and other.value is not null
                        ),
                        list_filter(
                            {{ measures }}, lambda other:other.name = named.name and other.value is null
                        )
                    ),
                    lambda measure:struct_pack(
                        value := measure.value,
                        confidence := measure.confidence,
                        reasoning := measure.reasoning
                    )
                )
            )
        )
    )
{%- endmacro %}
