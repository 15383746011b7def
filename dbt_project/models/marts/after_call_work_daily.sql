with

    actions as (select * from {{ ref("actions") }}),

    counted as (
        select
            cast(coalesce(due_at, created_at) as date) as due_date,
            channel,
            kind,
            destination,
            count(*) as action_count,
            cast(sum(case when status = 'sent' then 1 else 0 end) as bigint) as sent_count,
            cast(
                sum(case when status in ('pending', 'sending', 'retrying') then 1 else 0 end) as bigint
            ) as waiting_count,
            cast(sum(case when status = 'dead' then 1 else 0 end) as bigint) as dead_count,
            cast(sum(case when status = 'skipped' then 1 else 0 end) as bigint) as skipped_count,
            cast(coalesce(sum(attempts), 0) as bigint) as attempt_count,
            {{ percentile("seconds_from_call_end_to_sent", 0.5) }} as seconds_to_done_p50,
            {{ percentile("seconds_from_call_end_to_sent", 0.95) }} as seconds_to_done_p95
        from actions
        group by cast(coalesce(due_at, created_at) as date), channel, kind, destination
    ),

    final as (
        select
            due_date || ':' || {{ key_of(["channel", "kind", "coalesce(destination, '')"]) }} as work_key,
            *,
            {{ share("dead_count", "(sent_count + dead_count)") }} as failure_rate
        from counted
    )

select *
from final
