with

    measures as (
        select call_key, source, call_id, {{ map_rows("metrics") }} as entry from {{ ref("int_calls") }}
    ),

    final as (
        select
            call_key || ':' || entry.key as metric_key,
            call_key,
            source,
            call_id,
            entry.key as measure,
            entry.value.value as value_text,
            {{ to_number("entry.value.value") }} as value_number,
            {{ to_boolean("entry.value.value") }} as value_boolean,
            entry.value.confidence as confidence,
            entry.value.reasoning as reasoning
        from measures
    )

select *
from final
