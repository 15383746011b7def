with

    due as (select * from {{ ref("int_due_actions") }} where kind = 'follow_up_email'),

    calls as (select * from {{ ref("int_calls_interpreted") }}),

    final as (
        select
            due.action_key,
            'email' as channel,
            due.kind,
            due.source,
            due.call_id,
            due.due_at,
            case when calls.customer_email is null then 'no address' end as skip_reason,
            due.built_at,
            due.email_template as template,
            calls.customer_email as to_address,
            calls.customer_name,
            calls.customer_phone,
            calls.issue_type,
            case when calls.is_summary_written then calls.summary end as summary,
            coalesce(
                {{ to_language_tag("calls.customer_language") }}, '{{ var("default_language") }}'
            ) as language,
            {{ to_boolean("calls.email_consent_text") }} as email_consent
        from due
        inner join calls on due.call_key = calls.call_key
    )

select *
from final
