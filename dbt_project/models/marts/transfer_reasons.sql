with

    calls as (select * from {{ ref("int_calls_measured") }} where transfer_reason is not null or is_answered),

    -- The denominators: all answered calls, and all calls that went or wanted to go to a person.
    wholes as (
        select
            call_date,
            source,
            agent_id,
            issue_type,
            {{ count_of("answered_call_count") }} as answered_call_count,
            count(transfer_reason) as transfer_call_count
        from calls
        group by call_date, source, agent_id, issue_type
    ),

    reasons as (
        select
            call_date,
            source,
            agent_id,
            issue_type,
            transfer_reason,
            {{ count_of("call_count") }} as transfer_call_count,
            {{ count_of("transferred_call_count") }} as transferred_call_count,
            {{ count_of("transfer_request_count") }} as transfer_request_count,
            {{ count_of("answered_call_count") }} as uncontained_call_count
        from calls
        where transfer_reason is not null
        group by call_date, source, agent_id, issue_type, transfer_reason
    ),

    final as (
        select
            reasons.call_date
            || ':'
            || {{
                key_of(
                    [
                        "reasons.source",
                        "reasons.agent_id",
                        "reasons.issue_type",
                        "reasons.transfer_reason",
                    ]
                )
            }} as transfer_reason_key,
            reasons.call_date,
            reasons.source,
            reasons.agent_id,
            reasons.issue_type,
            reasons.transfer_reason,
            reasons.transfer_call_count,
            reasons.transferred_call_count,
            reasons.transfer_request_count,
            reasons.uncontained_call_count,
            wholes.answered_call_count,
            {{ share("reasons.uncontained_call_count", "wholes.answered_call_count") }}
            as transfer_reason_rate,
            {{ share("reasons.transfer_call_count", "wholes.transfer_call_count") }} as transfer_reason_share
        from reasons
        inner join
            wholes
            on reasons.call_date = wholes.call_date
            and reasons.source = wholes.source
            and reasons.agent_id = wholes.agent_id
            and reasons.issue_type = wholes.issue_type
    )

select *
from final
