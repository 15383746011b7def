with

    turns as (
        select
            call_key,
            source,
            call_id,
            {{ list_positions("turns") }} as turn_number,
            {{ list_rows("turns") }} as turn
        from {{ ref("int_calls_merged") }}
    ),

    final as (
        select
            call_key || ':' || turn_number as turn_key,
            call_key,
            source,
            call_id,
            cast(turn_number as integer) as turn_number,
            turn.role as role,
            turn.content as content,
            turn.spoken_at as spoken_at,
            turn.spoken_until as spoken_until
        from turns
    )

select *
from final
