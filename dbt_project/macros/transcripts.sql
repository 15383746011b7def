{# Transcripts in other forms than a list of turns, as the list of turns that `turns_of` reads. #}
{# One text of lines that begin with a role and a colon, `bot: …\nhuman: …`; `roles` are divided by `|`, as lines begin. A line that
   begins with none of them goes on with what was said before. #}
{% macro spoken_lines(said, roles) -%}
    {%- set marked -%}
        regexp_replace({{ said }}, '(^|\n)[ \t]*({{ roles }}):', chr(30) || '\2:', 'g')
    {%- endset -%}
    list_transform(
        list_filter(
            string_split({{ marked }}, chr(30)), lambda line:regexp_matches(line, '^({{ roles }}):\s*\S')
        ),
        lambda line: {
            'role':split_part(line, ':', 1),
            'content':trim(substr(line, position(':' in line) + 1), ' ' || chr(9) || chr(10) || chr(13)),
            'timestamp':cast(null as varchar),
            'until':cast(null as varchar)
        }
    )
{%- endmacro %}
