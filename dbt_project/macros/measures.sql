{# Measures that users define, of any shape, as text. #}
{% macro measure(names) -%}
    {%- set values = [] -%}
    {%- for name in names -%}
        {%- do values.append("canonical_metrics['" ~ name ~ "'].value") -%}
    {%- endfor -%}
    {{ first_meaningful(values) }}
{%- endmacro %}

{% macro join_canonical_measures(relation) -%}
    left join
        {{ ref("measures") }} as own_names
        on {{ relation }}.source = own_names.source
        and {{ relation }}.spelling = own_names.measure
    left join
        {{ ref("measures") }} as common_names
        on common_names.source is null
        and {{ relation }}.spelling = common_names.measure
{%- endmacro %}

{% macro canonical_measure(spelling, spelled) -%}
    coalesce(own_names.canonical_measure, common_names.canonical_measure, {{ spelling }}, {{ spelled }})
{%- endmacro %}

{% macro value_type(value) -%}
    case
        when {{ value }} is null or trim({{ value }}) = ''
        then 'empty'
        when regexp_full_match(lower(trim({{ value }})), 'true|false|yes|no')
        then 'boolean'
        when regexp_full_match(trim({{ value }}), '[+-]?[0-9]{1,18}')
        then 'integer'
        when {{ to_number(value) }} is not null
        then 'number'
        when {{ percent_of(value) }} is not null
        then 'percent'
        when {{ fraction_of(value) }} is not null
        then 'fraction'
        when
            regexp_full_match(trim({{ value }}), '[0-9]{4}-[0-9]{2}-[0-9]{2}')
            and {{ date_of(value) }} is not null
        then 'date'
        when {{ moment_of(value) }} is not null
        then 'timestamp'
        when regexp_matches({{ value }}, '^\s*\[') and json_valid({{ value }})
        then 'list'
        when regexp_matches({{ value }}, '^\s*\{') and json_valid({{ value }})
        then 'object'
        else 'text'
    end
{%- endmacro %}

{% macro percent_of(value) -%}
    try_cast(regexp_extract(trim({{ value }}), '^([+-]?[0-9]{1,15}([.][0-9]+)?) ?%$', 1) as double) / 100
{%- endmacro %}

{% macro fraction_of(value) -%}
    try_cast(
        regexp_extract(
            trim({{ value }}), '^([0-9]{1,9}([.][0-9]+)?) ?/ ?([0-9]{1,9}([.][0-9]+)?)$', 1
        ) as double
    ) / nullif(
        try_cast(
            regexp_extract(
                trim({{ value }}), '^([0-9]{1,9}([.][0-9]+)?) ?/ ?([0-9]{1,9}([.][0-9]+)?)$', 3
            ) as double
        ),
        0
    )
{%- endmacro %}

{% macro date_of(value) -%} cast({{ moment_of(value) }} as date) {%- endmacro %}

{% macro moment_of(value) -%}
    case
        when regexp_full_match(trim({{ value }}), '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}.*)?')
        then
            cast(
                -- DuckDB reads no offset after minutes without seconds.
                try_cast(
                    regexp_replace(
                        trim({{ value }}), '^(.{10}[T ][0-9]{2}:[0-9]{2})(Z|[+-].*)$', '\1:00\2'
                    ) as timestamptz
                ) as timestamp
            )
    end
{%- endmacro %}

{% macro map_of_pairs(key, value) -%}
    map_from_entries(list(struct_pack(k := {{ key }}, v := {{ value }})))
{%- endmacro %}
