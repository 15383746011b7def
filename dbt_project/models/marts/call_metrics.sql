with

    measured as (
        select call_key, source, call_id, {{ map_rows("metrics") }} as entry from {{ ref("int_calls") }}
    ),

    spelled as (
        select
            call_key,
            source,
            call_id,
            entry.key as measure,
            {{ to_snake_case("entry.key") }} as spelling,
            entry.value.value as value_text,
            entry.value.confidence as confidence,
            entry.value.reasoning as reasoning
        from measured
    ),

    -- A platform's own row goes before the one for all.
    own_names as (select * from {{ ref("measures") }} where source is not null),

    common_names as (select * from {{ ref("measures") }} where source is null),

    typed as (
        select
            spelled.*,
            coalesce(own_names.canonical_measure, common_names.canonical_measure) as canonical_measure,
            {{ value_type("spelled.value_text") }} as value_type
        from spelled
        left join own_names on spelled.source = own_names.source and spelled.spelling = own_names.measure
        left join common_names on spelled.spelling = common_names.measure
    ),

    final as (
        select
            call_key || ':' || measure as metric_key,
            call_key,
            source,
            call_id,
            measure,
            coalesce(canonical_measure, spelling, measure) as canonical_measure,
            canonical_measure is not null as is_mapped,
            value_type,
            value_text,
            coalesce(
                {{ to_number("value_text") }}, {{ percent_of("value_text") }}, {{ fraction_of("value_text") }}
            ) as value_number,
            {{ to_boolean("value_text") }} as value_boolean,
            case when value_type in ('date', 'timestamp') then {{ moment_of("value_text") }} end as value_at,
            confidence,
            reasoning
        from typed
    )

select *
from final
