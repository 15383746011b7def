{# What people, agents and speech recognition write where a fact should stand: words that stand for nothing, and addresses as they
   were spoken. Each macro takes and returns an SQL expression. #}
{# A pattern of texts that stand for nothing: no letter and no digit, a word for nothing (alone or in brackets and quotes), or nothing but
   unresolved placeholders. "Na" and "Nan" are names, "NA" and "NaN" are not. #}
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

{# True where the text stands for nothing, or is null. #}
{% macro stands_for_nothing(value) -%}
    coalesce(regexp_full_match({{ value }}, '{{ nothing_pattern() }}'), true)
{%- endmacro %}

{# The text without blanks around it; null where it stands for nothing. #}
{% macro meaningful(value) -%}
    case when not {{ stands_for_nothing(value) }} then trim({{ value }}, {{ blanks() }}) end
{%- endmacro %}

{# The first of several texts that says anything, without blanks around it. #}
{% macro first_meaningful(values) -%}
    trim(
        list_filter([{{ values | join(", ") }}], lambda text: not {{ stands_for_nothing("text") }})[1],
        {{ blanks() }}
    )
{%- endmacro %}

{# A person's name: without placeholders beside it, as in "Ann last_name" with the last name in double braces. #}
{% macro to_name(value) -%}
    {{ meaningful("regexp_replace(" ~ value ~ ", '\\s*\\x7b{2}[^\\x7b\\x7d]*\\x7d{2}\\s*', ' ', 'g')") }}
{%- endmacro %}

{# The one address in the text, in lower case: as written, in angle brackets, behind `mailto:`, or as it was spoken ("ann dot lee at example
   dot com"). Null for everything else, two addresses among it. #}
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
