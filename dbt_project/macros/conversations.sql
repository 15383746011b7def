{# What a list of turns says about a conversation, DuckDB's way. Each takes the turns of `turns_of`, or null, and gives an
   expression that is null for null. #}
{% macro turns_of_role(turns, role) -%}
    len(list_filter({{ turns }}, lambda turn:turn.role = '{{ role }}'))
{%- endmacro %}

{% macro characters_of_role(turns, role) -%}
    cast(
        list_sum(
            list_transform(
                list_filter({{ turns }}, lambda turn:turn.role = '{{ role }}'),
                lambda turn:length(turn.content)
            )
        ) as bigint
    )
{%- endmacro %}

{# Who had the last word: agent, customer, or whatever role the platform named. #}
{% macro last_speaker(turns) -%} {{ turns }} [-1].role {%- endmacro %}
