with

    measured as (
        select call_key, source, call_id, {{ list_rows("metrics") }} as sent
        from {{ ref("int_calls_merged") }}
    ),

    spelled as (
        select
            call_key,
            source,
            call_id,
            sent.name as measure,
            sent.number as measure_number,
            {{ to_snake_case("sent.name") }} as spelling,
            sent.value as value_text,
            sent.confidence as confidence,
            sent.reasoning as reasoning
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
            {{ key_of(["source", "call_id", "measure"]) }}
            || case when measure_number > 1 then '#' || measure_number else '' end as metric_key,
            call_key,
            source,
            call_id,
            measure,
            measure_number,
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
