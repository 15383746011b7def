with

    final as (
        select
            call_key,
            source,
            call_id,
            disposition,
            is_resolved,
            satisfaction_score,
            sentiment,
            is_transfer_requested,
            needs_follow_up,
            issue_type,
            is_vip,
            last_received_at as updated_at
        from {{ ref("int_call_outcomes") }}
    )

select *
from final
