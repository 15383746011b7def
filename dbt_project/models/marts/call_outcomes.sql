with

    outcomes as (select * from {{ ref("int_calls_interpreted") }}),

    facts as (select * from {{ ref("int_calls_measured") }}),

    repeats as (select * from {{ ref("int_calls_repeats_marked") }}),

    queues as (select * from {{ ref("queues") }}),

    final as (
        select
            outcomes.call_key,
            outcomes.source,
            outcomes.call_id,
            facts.call_date,
            outcomes.disposition,
            outcomes.is_resolved,
            facts.is_unresolved,
            facts.is_resolution_known,
            outcomes.satisfaction_score,
            outcomes.satisfaction_text as satisfaction_as_sent,
            facts.is_rated,
            {% for score in range(1, 6) %} facts.is_rated_{{ score }},{% endfor %}
            facts.is_satisfied,
            outcomes.sentiment,
            facts.is_positive,
            facts.is_neutral,
            facts.is_negative,
            outcomes.is_transfer_requested,
            outcomes.is_reached,
            facts.is_answered,
            facts.is_transferred,
            facts.transfer_reason,
            facts.is_contained,
            outcomes.needs_follow_up,
            outcomes.issue_type,
            {{ queue_of("queues") }} as queue,
            outcomes.priority,
            outcomes.is_vip,
            repeats.is_repeat_call,
            repeats.repeats_call_key,
            repeats.is_first_contact,
            repeats.is_first_call_resolved,
            outcomes.last_received_at as updated_at
        from outcomes
        inner join facts on outcomes.call_key = facts.call_key
        left join repeats on outcomes.call_key = repeats.call_key
        left join queues on outcomes.issue_type = queues.issue_type
    )

select *
from final
