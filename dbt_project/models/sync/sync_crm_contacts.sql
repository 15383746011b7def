with

    due as (select * from {{ ref("int_due_actions") }} where kind = 'contact'),

    calls as (select * from {{ ref("int_calls_interpreted") }}),

    -- Once a call with the number came by the telephone network, only such calls describe the contact.
    -- Joins before it aggregates, so that a query for changed rows reads only the calls of those customers.
    final as (
        select
            due.action_key,
            'crm' as channel,
            due.kind,
            due.source,
            due.call_id,
            due.due_at,
            cast(null as varchar) as skip_reason,
            due.built_at,
            due.contact_phone as phone,
            {{ of_verified_calls("max_by", "calls.customer_name", "calls.call_order") }} as name,
            {{ of_verified_calls("max_by", "calls.customer_email", "calls.call_order") }} as email,
            {{ of_verified_calls("max", "case when calls.is_vip then 1 else 0 end") }} = 1 as is_vip,
            coalesce(bool_or(calls.is_phone_verified), false) as is_phone_verified,
            max(calls.call_moment) as last_call_at,
            count(calls.call_key) as call_count
        from due
        left join calls on due.contact_phone = calls.customer_phone
        group by
            due.action_key, due.kind, due.source, due.call_id, due.due_at, due.built_at, due.contact_phone
    )

select *
from final
