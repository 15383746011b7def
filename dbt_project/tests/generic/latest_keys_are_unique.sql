{# No key of the newest load stands twice. What a pass can afford: of all other rows it reads the key alone, and groups none of them;
   `unique` looks at all rows every night. #}
{% test latest_keys_are_unique(model, column_name, loaded_at) %}

    with

        latest as (
            select {{ column_name }}
            from {{ model }}
            where {{ loaded_at }} = (select max({{ loaded_at }}) from {{ model }})
        )

    select {{ column_name }}, count(*) as times
    from {{ model }}
    where {{ column_name }} in (select {{ column_name }} from latest)
    group by {{ column_name }}
    having count(*) > 1

{% endtest %}
