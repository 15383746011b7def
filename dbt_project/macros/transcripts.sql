{# Transcripts that are one text, as the list of turns that `turns_of` reads. #}
{% macro turns_or_text(turns, text) -%}
    case
        when len(list_filter({{ turns }}, lambda turn:trim(turn.content) <> '')) > 0
        then {{ turns }}
        else {{ spoken_lines(text) }}
    end
{%- endmacro %}

{% macro json_text(value) -%}
    case when json_type({{ value }}) = 'VARCHAR' then {{ value }} ->> '$' end
{%- endmacro %}

{% macro spoken_lines(text) -%}
    {%- set roles = (roles_of_agents() + roles_of_customers() + ["transfer[ _]target"]) | join("|") -%}
    {%- set stamp = "(?:[\\[(]?[0-9]{1,2}:[0-9]{2}[0-9:.]*[\\])]?|[\\[(][0-9.]+ ?s?[\\])])" -%}
    {%- set head = (
        "[*_> -]*(?:"
        ~ stamp
        ~ "[ \\t-]*)?[*_]*((?i:"
        ~ roles
        ~ "))[*_]*(?:[ \\t]*"
        ~ stamp
        ~ ")?[ \\t]*:[*_]*"
    ) -%}
    {%- set marked -%}
        case
            when contains(trim({{ text }}, {{ blanks() }}), chr(10))
            then regexp_replace({{ text }}, '(^|[\n\r])[ \t]*{{ head }}', chr(30) || '\2:', 'g')
            else regexp_replace({{ text }}, '(^|\s){{ head }}', chr(30) || '\2:', 'g')
        end
    {%- endset -%}
    list_transform(
        list_filter(string_split({{ marked }}, chr(30)), lambda line:trim(line, {{ blanks() }}) <> ''),
        lambda line: {
            'role':nullif(regexp_extract(line, '^((?i:{{ roles }})):', 1), ''),
            'content':trim(regexp_replace(line, '^(?i:{{ roles }}):', ''), {{ blanks() }}),
            'timestamp':cast(null as varchar),
            'until':cast(null as varchar)
        }
    )
{%- endmacro %}

{% macro blanks() -%} ' ' || chr(9) || chr(10) || chr(13) || chr(160) {%- endmacro %}
