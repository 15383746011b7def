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

    typed as (
        select
            spelled.*,
            {{ canonical_measure("spelled.spelling", "spelled.measure") }} as canonical_measure,
            coalesce(own_names.canonical_measure, common_names.canonical_measure) is not null as is_mapped,
            {{ value_type("spelled.value_text") }} as value_type
        from spelled {{ join_canonical_measures("spelled") }}
    ),

    final as (
        select
            call_key || ':' || measure as metric_key,
            call_key,
            source,
            call_id,
            measure,
            canonical_measure,
            is_mapped,
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
