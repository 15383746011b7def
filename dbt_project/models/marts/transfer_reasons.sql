with

    transfers as (select * from {{ ref("int_call_facts") }} where transfer_reason is not null),

    final as (
        select
            call_date || ':' || source || ':' || issue_type || ':' || transfer_reason as transfer_reason_key,
            call_date,
            source,
            issue_type,
            transfer_reason,
            count(*) as call_count,
            cast(sum(case when is_transferred then 1 else 0 end) as bigint) as transferred_call_count,
            cast(sum(case when is_transfer_requested then 1 else 0 end) as bigint) as transfer_request_count
        from transfers
        group by call_date, source, issue_type, transfer_reason
    )

select *
from final
