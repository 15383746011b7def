{# Measures that users define themselves, of any shape. Each takes the value as text. #}
{# The first of several canonical names of a measure that says anything. #}
{% macro measure(names) -%}
    {%- set values = [] -%}
    {%- for name in names -%}
        {%- do values.append("canonical_metrics['" ~ name ~ "'].value") -%}
    {%- endfor -%}
    {{ first_meaningful(values) }}
{%- endmacro %}

{# The rows of the seed `measures` for a relation's `source` and `spelling`. A platform's own row holds instead of the one for
   all. #}
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

{# The name that the seed gives a measure, else its own in lower snake case; as sent where nothing is left of that. #}
{% macro canonical_measure(spelling, spelled) -%}
    coalesce(own_names.canonical_measure, common_names.canonical_measure, {{ spelling }}, {{ spelled }})
{%- endmacro %}

{# How a value reads; never null. In this order: what fits a narrower type is not one of a wider; "1" is an integer, "yes" a boolean; two
   numbers with a stroke are a fraction, a date only in ISO form, since 04/05 could be two days. #}
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

{# "85%" and "85.5 %" as 0.85 and 0.855; null for anything else. #}
{% macro percent_of(value) -%}
    try_cast(regexp_extract(trim({{ value }}), '^([+-]?[0-9]{1,15}([.][0-9]+)?) ?%$', 1) as double) / 100
{%- endmacro %}

{# "4/5" and "4 / 5" as 0.8; null for anything else, and for a whole of nothing. #}
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

{# An ISO 8601 date, with or without a time, in UTC; a time without an offset is UTC. #}
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

{# Of pairs in a group, the map of them. #}
{% macro map_of_pairs(key, value) -%}
    map_from_entries(list(struct_pack(k := {{ key }}, v := {{ value }})))
{%- endmacro %}
