{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="call_key",
        on_schema_change="fail",
    )
}}

with

    news as (
        select call_key, customer_phone
        from {{ ref("int_calls_measured") }}
        where {{ incremental_filter("last_loaded_at", "last_loaded_at") }}
    ),

    -- DuckDB would materialise a CTE that is used twice, and so read the whole table.
    before as not materialized(
        {% if is_incremental() %}select * from {{ this }}
        {% else %}
            select
                call_key,
                cast(null as varchar) as customer_phone,
                cast(null as boolean) as is_repeat_call,
                cast(null as boolean) as is_repeated,
                cast(null as boolean) as is_first_call_resolved,
                cast(null as timestamp) as judged_through
            from news
            where false
        {% endif %}
    ),

    -- A call that moves to another customer changes the marks of both customers' calls.
    touched_customers as (
        select customer_phone
        from news
        union
        select before.customer_phone
        from before
        inner join news on before.call_key = news.call_key
    ),

    facts as not materialized(
        select
            call_key,
            customer_phone,
            issue_type,
            began_at,
            call_date,
            is_resolved,
            last_loaded_at,
            customer_phone is not null and is_answered and not is_outbound as is_contact
        from {{ ref("int_calls_measured") }}
    ),

    -- Of unknown customers only the new calls. Two parts, because with an `or` the database reads every
    -- call.
    calls as (
        select *
        from facts
        where customer_phone in (select touched.customer_phone from touched_customers as touched)
        union all
        select *
        from facts
        where customer_phone is null and call_key in (select news.call_key from news)
    ),

    neighbours as (
        select
            *,
            lag(call_key) over same_issue as previous_call_key,
            {{ seconds_between("lag(began_at) over same_issue", "began_at") }} as seconds_since_previous,
            {{ seconds_between("began_at", "lead(began_at) over same_issue") }} as seconds_until_next
        from calls
        window same_issue as (partition by customer_phone, issue_type, is_contact order by began_at, call_key)
    ),

    compared as (
        select
            *,
            case
                when is_contact
                then coalesce(seconds_since_previous <= 86400 * {{ var("repeat_within_days") }}, false)
            end as is_repeat_call,
            case
                when is_contact
                then coalesce(seconds_until_next <= 86400 * {{ var("repeat_within_days") }}, false)
            end as is_repeated
        from neighbours
    ),

    resolved as (
        select
            *,
            case
                when not is_repeat_call and is_resolved is not null then is_resolved and not is_repeated
            end as is_first_call_resolved
        from compared
    ),

    judged_before as (
        select before.* from before where before.call_key in (select resolved.call_key from resolved)
    ),

    -- Most other calls of a customer keep their marks. Only the days of changed calls are counted again.
    final as (
        select
            resolved.call_key,
            resolved.customer_phone,
            resolved.call_date,
            resolved.is_contact,
            case when resolved.is_repeat_call then resolved.previous_call_key end as repeats_call_key,
            resolved.is_repeat_call,
            resolved.is_repeated,
            resolved.is_first_call_resolved is not null as is_first_contact,
            resolved.is_first_call_resolved,
            resolved.last_loaded_at,
            case
                when
                    judged_before.call_key is not null
                    and (judged_before.is_repeat_call is not distinct from resolved.is_repeat_call)
                    and (judged_before.is_repeated is not distinct from resolved.is_repeated)
                    and (
                        judged_before.is_first_call_resolved
                        is not distinct from resolved.is_first_call_resolved
                    )
                then judged_before.judged_through
                else max(resolved.last_loaded_at) over (partition by resolved.customer_phone)
            end as judged_through
        from resolved
        left join judged_before on resolved.call_key = judged_before.call_key
    )

select *
from final
