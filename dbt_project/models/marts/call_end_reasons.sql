with

    sent as (
        select
            source,
            end_reason,
            lower(end_reason) as reason,
            count(*) as call_count,
            min(call_moment) as first_call_at,
            max(call_moment) as last_call_at
        from {{ ref("int_call_outcomes") }}
        where end_reason is not null
        group by source, end_reason
    ),

    known as (select * from {{ ref("end_reasons") }}),

    patterns as (select * from {{ ref("end_reason_patterns") }}),

    -- Of several patterns that match, the first in the order of the seed.
    matched as (
        select
            sent.source,
            sent.end_reason,
            patterns.category,
            patterns.is_error,
            row_number() over (
                partition by sent.source, sent.end_reason order by patterns.position
            ) as match_number
        from sent
        inner join
            patterns
            on sent.reason like patterns.pattern
            and coalesce(patterns.source, sent.source) = sent.source
    ),

    final as (
        select
            sent.source || ':' || sent.end_reason as end_reason_key,
            sent.source,
            sent.end_reason,
            coalesce(known.category, matched.category) as end_reason_category,
            coalesce(known.is_error, matched.is_error) as is_error,
            sent.call_count,
            sent.first_call_at,
            sent.last_call_at
        from sent
        left join known on sent.source = known.source and sent.reason = known.end_reason
        left join
            matched
            on sent.source = matched.source
            and sent.end_reason = matched.end_reason
            and matched.match_number = 1
    )

select *
from final
