{# Patterns that the bodies of several platforms share; for staging models only. #}
{% macro merged_objects(documents) -%}
    {%- set pairs -%}
        flatten([
            {%- for document in documents %}
                coalesce(list_zip(json_keys({{ document }}), json_extract({{ document }}, '$.*')), [])
                {{- "," if not loop.last }}
            {%- endfor %}
        ])
    {%- endset -%}
    {%- set known_pairs -%}
        list_filter({{ pairs }}, lambda pair:json_type(pair[2]) <> 'NULL')
    {%- endset -%}
    to_json({{ last_of_each_name(known_pairs, prefers_meaningful=true) }})
{%- endmacro %}

{% macro moment_in_call(start_milliseconds, seconds) -%}
    cast(
        try_cast(
            try_cast({{ start_milliseconds }} as double)
            + round(try_cast({{ seconds }} as double) * 1000) as bigint
        ) as varchar
    )
{%- endmacro %}

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

{% macro measures_with_feedback(document) -%}
    {%- set by_name -%}
        list_sort(
            list_transform(
                map_entries({{ json_object_to_map(document, most=1000000000) }}),
                lambda field: {
                    'name':regexp_replace(field.key, '_feedback$', ''),
                    'is_feedback':ends_with(field.key, '_feedback'),
                    'value':field.value
                }
            )
        )
    {%- endset -%}
    list_transform(
        [{{ by_name }}],
        lambda by_name:list_transform(
            list_filter(
                list_zip(
                    by_name,
                    list_transform(by_name, lambda field:field.name)[2:],
                    list_transform(by_name, lambda field:field.is_feedback)[2:],
                    list_transform(by_name, lambda field:field.value)[2:]
                ),
                lambda field: not field[1].is_feedback
            ),
            lambda field: {
                'name':field[1].name,
                'value':field[1].value,
                'confidence':cast(null as double),
                'reasoning': case when field[3] and field[2] = field[1].name then field[4] end
            }
        )
    )[1]
{%- endmacro %}

{% macro verdict_to_disposition(value) -%}
    case
        when lower(trim({{ value }})) in ('true', 'success', 'successful')
        then 'successful'
        when lower(trim({{ value }})) in ('false', 'failure', 'unsuccessful')
        then 'unsuccessful'
    end
{%- endmacro %}

{% macro is_first_leg(session, leg) -%}
    coalesce(
        abs(cast({{ ticks_of_uuid(session) }} as bigint) - cast({{ ticks_of_uuid(leg) }} as bigint))
        < 10000000,
        true
    )
{%- endmacro %}

{% macro ticks_of_uuid(value) -%}
    case
        when
            regexp_full_match(
                lower({{ value }}), '[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}'
            )
        then
            try_cast(
                '0x'
                || substr({{ value }}, 16, 3)
                || substr({{ value }}, 10, 4)
                || substr({{ value }}, 1, 8) as bigint
            )
    end
{%- endmacro %}
