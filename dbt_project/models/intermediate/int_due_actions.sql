{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="action_key",
        full_refresh=false,
        on_schema_change="fail",
    )
}}

with

    affected_calls as (
        select
            call_key,
            source,
            call_id,
            customer_phone,
            email_template,
            is_ended,
            is_vip,
            is_transfer_requested,
            needs_follow_up,
            is_unhappy,
            is_unresolved,
            call_order,
            last_loaded_at,
            coalesce(end_occurred_at, ended_at, last_occurred_at, last_received_at) as ended_moment,
            coalesce(analytics_occurred_at, ended_at, last_occurred_at, last_received_at) as analysed_moment,
            reported_resolved is not null as is_resolved_by_analytics
        from {{ ref("int_calls_interpreted") }}
        where {{ incremental_filter("last_loaded_at", "loaded_at") }}
    ),

    moments as (
        select
            *,
            case when is_resolved_by_analytics then analysed_moment else ended_moment end as resolved_moment
        from affected_calls
    ),

    candidates as (
        {% for rule in due_action_rules() %}
            select
                '{{ rule.kind }}:' || {{ rule.key }} as action_key,
                '{{ rule.kind }}' as kind,
                call_key,
                source,
                call_id,
                coalesce({{ rule.is_due }}, false) as is_due,
                {{ "email_template" if rule.kind == "follow_up_email" else "cast(null as varchar)" }}
                as email_template,
                {{ "customer_phone" if rule.kind == "contact" else "cast(null as varchar)" }}
                as contact_phone,
                {{ rule.due_at }} as due_at,
                call_order,
                last_loaded_at
            from moments {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    -- Several calls of one customer lead to one contact, made from the latest call.
    single as (
        select
            *,
            max(last_loaded_at) over (partition by action_key) as loaded_at,
            row_number() over (partition by action_key order by call_order desc) as newest_first
        from candidates
        where action_key is not null
    ),

    -- Filters by call and by phone, not by action: the database can then skip blocks.
    remembered as (
        {% if is_incremental() %}
            select action_key, call_key, source, call_id, email_template, due_at, call_order
            from {{ this }}
            where kind <> 'contact' and call_key in (select affected.call_key from affected_calls as affected)
            union all
            select action_key, call_key, source, call_id, email_template, due_at, call_order
            from {{ this }}
            where
                kind = 'contact'
                and contact_phone in (select affected.customer_phone from affected_calls as affected)
        {% else %}
            select action_key, call_key, source, call_id, email_template, due_at, call_order
            from single
            where false
        {% endif %}
    ),

    -- An action that was due stays due, with its latest content if it is still due.
    final as (
        select
            single.action_key,
            single.kind,
            case
                when remembered.call_order > single.call_order then remembered.call_key else single.call_key
            end as call_key,
            case
                when remembered.call_order > single.call_order then remembered.source else single.source
            end as source,
            case
                when remembered.call_order > single.call_order then remembered.call_id else single.call_id
            end as call_id,
            coalesce(single.email_template, remembered.email_template) as email_template,
            single.contact_phone,
            case
                when remembered.action_key is null
                then single.due_at
                when single.kind = 'contact'
                then greatest(remembered.due_at, single.due_at)
                else remembered.due_at
            end as due_at,
            case
                when remembered.call_order > single.call_order
                then remembered.call_order
                else single.call_order
            end as call_order,
            single.loaded_at,
            {{ built_at() }} as built_at
        from single
        left join remembered on single.action_key = remembered.action_key
        where single.newest_first = 1 and (single.is_due or remembered.action_key is not null)
    )

select *
from final
