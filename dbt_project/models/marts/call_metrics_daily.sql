{{
    config(
        materialized="incremental",
        incremental_strategy="by_period",
        period_column="call_date",
        on_schema_change="fail",
        tags=["pass", "by_day"],
    )
}}

with

    calls as (
        select
            facts.*,
            repeats.is_repeat_call,
            repeats.is_first_call_resolved,
            greatest(facts.last_loaded_at, repeats.judged_through) as loaded_at
        from {{ ref("int_call_facts") }} as facts
        left join {{ ref("int_repeat_calls") }} as repeats on facts.call_key = repeats.call_key
        where {{ on_touched_day("facts.call_date") }}
    ),

    final as (
        select
            call_date || ':' || source || ':' || agent_id as day_key,
            call_date,
            source,
            agent_id,
            {{ count_columns() }},
            avg(satisfaction_score) as average_satisfaction,
            {{ exact_sum("duration_seconds") }} as duration_seconds_sum,
            {{ loaded_through("loaded_at") }} as last_loaded_at
        from calls
        group by call_date, source, agent_id
    )

select *
from final
