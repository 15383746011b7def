{# Shapes and turns of phrase that bodies of several platforms have in common; for staging models only. #}
{# Several JSON objects as one; of a name that stands in several, the last counts. What is no object adds nothing. #}
{% macro merged_objects(documents) -%}
    {%- set merged = namespace(sql="cast('{}' as json)") -%}
    {%- for document in documents -%}
        {%- set merged.sql -%}
            json_merge_patch(
                {{ merged.sql }},
                case when json_type({{ document }}) = 'OBJECT' then {{ document }} else cast('{}' as json) end
            )
        {%- endset -%}
    {%- endfor -%}
    {{ merged.sql }}
{%- endmacro %}

{# A moment of the call as text, from the Unix milliseconds of its start and the seconds since. #}
{% macro moment_in_call(start_milliseconds, seconds) -%}
    cast(
        try_cast(
            try_cast({{ start_milliseconds }} as double)
            + round(try_cast({{ seconds }} as double) * 1000) as bigint
        ) as varchar
    )
{%- endmacro %}

{# One measure that has a field of its own, as a list like those of `measures_of_object`; empty where nothing stands there. #}
{% macro measure_of(name, value) -%}
    list_filter(
        [
            {
                'name':'{{ name }}',
                'value':cast({{ value }} as varchar),
                'confidence':cast(null as double),
                'reasoning':cast(null as varchar)
            }
        ],
        lambda measure:measure.value is not null
    )
{%- endmacro %}

{# Measures from an object of objects: {name: {value, reasoning}}. `name` says where they have a name instead of their key. #}
{% macro measures_of_results(document, value, reasoning="none", name="none") -%}
    list_transform(
        list_zip(json_keys({{ document }}), json_extract({{ document }}, '$.*')),
        lambda result: {
            'name':
            {{ to_snake_case("coalesce(json_extract_string(result[2], '$." ~ name ~ "'), result[1])") }},
            'value':json_extract_string(result[2], '$.{{ value }}'),
            'confidence':cast(null as double),
            'reasoning':json_extract_string(result[2], '$.{{ reasoning }}')
        }
    )
{%- endmacro %}

{# A platform's own verdict on the call, as a disposition. What is neither yes nor no (a score, a text) says none. #}
{% macro verdict_to_disposition(value) -%}
    case
        when lower(trim({{ value }})) in ('true', 'success', 'successful')
        then 'successful'
        when lower(trim({{ value }})) in ('false', 'failure', 'unsuccessful')
        then 'unsuccessful'
    end
{%- endmacro %}
