{# What a list of turns says about a conversation. Null in, null out. #}
{% macro turns_of_role(turns, role) -%}
    len(list_filter({{ turns }}, lambda turn:turn.role = '{{ role }}'))
{%- endmacro %}

{% macro has_speakers(turns) -%}
    coalesce(len(list_filter({{ turns }}, lambda turn:turn.role is not null)) > 0, false)
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

{% macro last_speaker(turns) -%} {{ turns }} [-1].role {%- endmacro %}

{% macro talk_seconds_of_role(turns, role) -%}
    list_sum(
        list_transform(
            list_filter(
                {{ turns }}, lambda turn:turn.role = '{{ role }}' and turn.spoken_until >= turn.spoken_at
            ),
            lambda turn:epoch(turn.spoken_until) - epoch(turn.spoken_at)
        )
    )
{%- endmacro %}

{% macro pauses(turns) -%}
    list_filter(
        list_transform(
            list_zip({{ turns }} [:-2], {{ turns }} [2:]),
            lambda pair:
            case
                when pair[2].spoken_at >= pair[1].spoken_until
                then epoch(pair[2].spoken_at) - epoch(pair[1].spoken_until)
                when pair[2].spoken_at < pair[1].spoken_until
                then 0
            end
        ),
        lambda pause:pause is not null
    )
{%- endmacro %}
