{# Words that stand for nothing, and email addresses as people speak them. #}
{% macro nothing_pattern() -%}
    {%- set words = [
        "none",
        "null",
        "nil",
        "n/a",
        "n[.]a[.]?",
        "undefined",
        "unknown",
        "unspecified",
        "unavailable",
        "undisclosed",
        "unnamed",
        "anonymous",
        "redacted",
        "tbd",
        "not known",
        "not applicable",
        "not available",
        "not provided",
        "not given",
        "not specified",
        "not stated",
        "not mentioned",
        "not said",
        "not set",
        "not collected",
        "not captured",
        "not disclosed",
        "not shared",
        "not supplied",
        "not asked",
        "not sure",
        "none provided",
        "none given",
        "none stated",
        "no value",
        "no data",
        "no information",
        "no name",
        "no name (given|provided)",
        "no summary",
        "does not apply",
        "object object",
        "(customer|caller|user|first|last|full|your)[\\s_-]?name",
        "keine?r?",
        "unbekannt",
        "nicht (bekannt|angegeben|verfügbar)",
        "ningun[oa]",
        "desconocid[oa]",
        "no (aplica|disponible|proporcionado|especificado)",
        "nulo",
        "aucune?",
        "inconnue?",
        "non (fourni|renseigné|disponible|applicable)e?",
        "nessun[oa]?",
        "sconosciut[oa]",
        "غير معروف",
        "لا يوجد",
        "غير متوفر",
    ] -%}
    {%- set other = "[^\\p{L}\\p{N}]*" -%}
    {%- set placeholder = (
        "\\x7b{2}[^\\x7b\\x7d]*\\x7d{2}|\\x7b%[^\\x7b\\x7d]*%\\x7d|[$#%]?\\x7b[\\w .-]*\\x7d"
        ~ "|<[\\w .-]*>|\\[[\\w .-]*\\]|%[\\w.-]+%|__[\\w.-]+__"
    ) -%}
    {{
        return(
            "(?:NA|na|nan|NaN|NAN)|(?i:"
            ~ other
            ~ "(?:(?:"
            ~ (words | join("|") | replace(" ", "[\\s_-]+"))
            ~ ")"
            ~ other
            ~ ")*)"
            ~ "|(?:"
            ~ other
            ~ "(?:"
            ~ placeholder
            ~ "))+"
            ~ other
        )
    }}
{%- endmacro %}

{% macro stands_for_nothing(value) -%}
    coalesce(regexp_full_match({{ value }}, '{{ nothing_pattern() }}'), true)
{%- endmacro %}

{% macro meaningful(value) -%}
    case when not {{ stands_for_nothing(value) }} then trim({{ value }}, {{ blanks() }}) end
{%- endmacro %}

{% macro first_meaningful(values) -%}
    trim(
        list_filter([{{ values | join(", ") }}], lambda text: not {{ stands_for_nothing("text") }})[1],
        {{ blanks() }}
    )
{%- endmacro %}

{% macro to_name(value) -%}
    {{ meaningful("regexp_replace(" ~ value ~ ", '\\s*\\x7b{2}[^\\x7b\\x7d]*\\x7d{2}\\s*', ' ', 'g')") }}
{%- endmacro %}

{% macro to_email_address(value) -%}
    {%- set spoken = [
        ["underscore|under score|guión bajo|guion bajo|unterstrich|tiret bas", "_"],
        ["hyphen|dash|guión|guion|bindestrich|tiret", "-"],
        ["plus", "+"],
        ["at sign|at|arroba|ät|arobase|chiocciola", "@"],
        ["dot|punto|punkt|point|نقطة", "."],
    ] -%}
    {%- set written -%}
        regexp_replace(
            regexp_replace(
                lower(
                    case
                        when regexp_matches({{ value }}, '<[^<>]*@[^<>]*>')
                        then regexp_extract({{ value }}, '<([^<>]*@[^<>]*)>', 1)
                        else {{ value }}
                    end
                ),
                '^[\s"''<(\[]*(?:e-?mail\s*:|mailto\s*:)?[\s"''<(\[]*|[\s"''>)\].,;:!?]+$',
                '',
                'g'
            ),
            '\s*[\[(]\s*(at|dot)\s*[\])]\s*',
            ' \1 ',
            'g'
        )
    {%- endset -%}
    {%- set read = namespace(sql="written") -%}
    {%- for words, sign in spoken -%}
        {%- set read.sql = (
            "regexp_replace(" ~ read.sql ~ ", '\\s+(?:" ~ words ~ ")\\s+', '" ~ sign ~ "', 'g')"
        ) -%}
    {%- endfor -%}
    {%- set read.sql = "regexp_replace(" ~ read.sql ~ ", '\\s*([@._+-])\\s*', '\\1', 'g')" -%}
    {%- set address = (
        '[^\\s@.,;:<>()\\[\\]{}"\\\\]+(?:[.][^\\s@.,;:<>()\\[\\]{}"\\\\]+)*'
        ~ "@(?:[\\p{L}\\p{N}](?:[\\p{L}\\p{M}\\p{N}-]*[\\p{L}\\p{M}\\p{N}])?[.])+(?:\\p{L}[\\p{L}\\p{M}]+|xn--[a-z0-9-]+)"
    ) -%}
    {%- set known -%}
        case
            when length(address) <= 254 and regexp_full_match(address, '{{ address }}') then address
        end
    {%- endset -%}
    {{
        bound(
            "case when length(" ~ value ~ ") <= 500 then " ~ written ~ " end",
            "written",
            bound(
                "case when contains(written, '@') and not contains(written, ' ') then written else "
                ~ read.sql
                ~ " end",
                "address",
                known,
            ),
        )
    }}
{%- endmacro %}
