{# Languages as platforms and people write them, as BCP 47 tags. #}
{% macro language_names() -%}
    {{
        return(
            {
                "ar": ["arabic", "ara", "العربية"],
                "bn": ["bengali", "bangla", "ben"],
                "de": ["german", "deutsch", "deu", "ger"],
                "en": ["english", "eng"],
                "es": ["spanish", "español", "espanol", "spa"],
                "fr": ["french", "français", "francais", "fra", "fre"],
                "hi": ["hindi", "hin", "हिन्दी", "हिंदी"],
                "it": ["italian", "italiano", "ita"],
                "ja": ["japanese", "jpn", "日本語"],
                "nl": ["dutch", "nederlands", "nld", "dut"],
                "pl": ["polish", "polski", "pol"],
                "pt": ["portuguese", "português", "portugues", "por"],
                "ta": ["tamil", "tam"],
                "te": ["telugu", "tel"],
                "tr": ["turkish", "türkçe", "tur"],
                "zh": ["chinese", "mandarin", "zho", "chi", "中文"],
            }
        )
    }}
{%- endmacro %}

{% macro to_language_tag(value) -%}
    {%- set tag -%}
        replace(lower(regexp_replace(trim({{ value }}), '[.@].*$', '')), '_', '-')
    {%- endset -%}
    case
        {% for code, names in language_names().items() %}
            when {{ tag }} in ('{{ names | join("', '") }}') then '{{ code }}'
        {% endfor %}
        when regexp_full_match({{ tag }}, '[a-z]{2,3}(-[a-z0-9]{2,8}){0,4}')
        then {{ tag_in_its_letters(tag) }}
    end
{%- endmacro %}

{% macro tag_in_its_letters(tag) -%}
    array_to_string(
        list_transform(
            string_split({{ tag }}, '-'),
            lambda part,
            place: case
                when place > 1 and regexp_full_match(part, '[a-z]{4}')
                then upper(part[1]) || part[2:]
                when place > 1 and length(part) = 2
                then upper(part)
                else part
            end
        ),
        '-'
    )
{%- endmacro %}
