{%- set null_rates = [
    ("phone_null_rate", "customer_phone is null"),
    ("agent_null_rate", "agent_id = 'unknown'"),
    ("duration_null_rate", "duration_seconds is null"),
    ("satisfaction_null_rate", "satisfaction_score is null"),
    ("resolution_null_rate", "is_resolved is null"),
] %}

with

    calls as (
        select *
        from {{ ref("int_calls_measured") }}
        where
            {{ days_between("call_date", today_utc()) }} between 1 and {{ 2 * var("anomaly_lookback_days") }}
    ),

    spans as (select source, min(call_date) as first_day from calls group by source),

    -- Every day since the first, so that a day without calls has a row.
    days as (select source, {{ day_rows("first_day", today_utc() ~ " - 1") }} as call_date from spans),

    counted as (
        select
            days.call_date,
            days.source,
            count(calls.call_key) as call_count,
            {{ count_of("answered_call_count") }} as answered_call_count,
            {{ count_of("rated_call_count") }} as rated_call_count,
            {% for name, condition in null_rates %}
                avg(
                    case
                        when calls.is_answered and calls.{{ condition }}
                        then 1.0
                        when calls.is_answered
                        then 0.0
                    end
                ) as {{ name }},
            {% endfor %}
            {{ share(satisfaction_sum(), count_of("rated_call_count")) }} as average_satisfaction
        from days
        left join calls on days.source = calls.source and days.call_date = calls.call_date
        group by days.call_date, days.source
    ),

    measured as (
        select
            call_date,
            source,
            'volume' as kind,
            'call_count' as measure,
            call_count as calls_behind,
            cast(call_count as double) as value
        from counted
        {% for name, _ in null_rates %}
            union all
            select
                call_date,
                source,
                'null_rate' as kind,
                '{{ name }}' as measure,
                answered_call_count as calls_behind,
                {{ name }} as value
            from counted
            where answered_call_count >= {{ var("anomaly_min_calls") }}
        {% endfor %}
        union all
        select
            call_date,
            source,
            'satisfaction' as kind,
            'average_satisfaction' as measure,
            rated_call_count as calls_behind,
            average_satisfaction as value
        from counted
        where rated_call_count >= {{ var("anomaly_min_calls") }}
    ),

    -- Compares volume with the same weekday, everything else with any day.
    compared as (
        select measured.*, earlier.value as earlier_value
        from measured
        left join
            measured as earlier
            on measured.source = earlier.source
            and measured.measure = earlier.measure
            and {{ days_between("earlier.call_date", "measured.call_date") }}
            between 1 and {{ var("anomaly_lookback_days") }}
            and (
                measured.kind <> 'volume'
                or {{ days_between("earlier.call_date", "measured.call_date") }} % 7 = 0
            )
    ),

    centred as (
        select
            call_date,
            source,
            measure,
            count(earlier_value) as days_before,
            {{ median_of("earlier_value") }} as usual
        from compared
        group by call_date, source, measure
    ),

    spread as (
        select
            compared.call_date,
            compared.source,
            compared.kind,
            compared.measure,
            compared.calls_behind,
            compared.value,
            centred.days_before,
            centred.usual,
            -- For normally distributed values 1.4826 median deviations are one standard deviation.
            1.4826
            * {{ var("anomaly_mad_threshold") }}
            * {{ median_of("abs(compared.earlier_value - centred.usual)") }} as deviation
        from compared
        inner join
            centred
            on compared.call_date = centred.call_date
            and compared.source = centred.source
            and compared.measure = centred.measure
        group by
            compared.call_date,
            compared.source,
            compared.kind,
            compared.measure,
            compared.calls_behind,
            compared.value,
            centred.days_before,
            centred.usual
    ),

    ranged as (
        select
            *,
            case
                kind
                when 'volume'
                then
                    greatest(
                        deviation,
                        usual * {{ var("anomaly_min_volume_change") }},
                        {{ var("anomaly_min_calls") }}
                    )
                when 'null_rate'
                then greatest(deviation, {{ var("anomaly_min_null_rate_change") }})
                else greatest(deviation, {{ var("anomaly_min_satisfaction_change") }})
            end as tolerance
        from spread
    ),

    final as (
        select
            call_date || ':' || source || ':' || measure as quality_key,
            call_date,
            source,
            kind,
            measure,
            value,
            calls_behind,
            days_before,
            usual as usual_value,
            greatest(usual - tolerance, 0.0) as usual_from,
            usual + tolerance as usual_to,
            case
                when days_before < {{ var("anomaly_min_history_days") }}
                then 'not_enough_history'
                when value < usual - tolerance
                then 'too_low'
                when value > usual + tolerance
                then 'too_high'
                else 'usual'
            end as verdict
        from ranged
    )

select *
from final
