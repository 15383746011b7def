with

    variables as (
        select call_key, source, call_id, {{ map_rows("variables") }} as entry
        from {{ ref("int_calls_merged") }}
    ),

    final as (
        select
            {{ key_of(["source", "call_id", "entry.key"]) }} as variable_key,
            call_key,
            source,
            call_id,
            entry.key as variable,
            entry.value as value_text
        from variables
    )

select *
from final
