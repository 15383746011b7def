{# Phone numbers in one spelling. `integrations/phones.py` takes the same steps in the same order, and tests compare the two. #}
{% macro to_e164(value, rules=none) -%}
    {%- set rules = rules or phone_rules() -%}
    {%- set number -%}
        list_filter(
            list_transform(
                {{ phone_candidates("dialled", rules) }},
                lambda candidate:regexp_replace(candidate, '^({{ rules.dropped_zeros }})0', '\1')
            ),
            lambda candidate:regexp_full_match(candidate, '{{ rules.international }}')
        )[1]
    {%- endset -%}
    {%- set read -%}
        case
            when not regexp_full_match(dialled, '[+]?[0-9]+')
            then null
            -- What a keypad writes for ANONYMOUS, RESTRICTED, UNAVAILABLE, BLOCKED and UNKNOWN.
            when ltrim(dialled, '+') in ('266696687', '7378742833', '86282452253', '2562533', '8656696')
            then null
            when ltrim(dialled, '+0') = ''
            then null
            else coalesce('+' || {{ number }}, case when regexp_full_match(dialled, '[0-9]{3,15}') then dialled end)
        end
    {%- endset -%}
    -- A branch costs nothing for the many events without a number, where a lambda costs as much as for one
    -- with it.
    case when {{ value }} is not null then {{ bound(dialled_number(value), "dialled", read) }} end
{%- endmacro %}

{% macro bound(part, name, expression) -%}
    list_transform([{{ part }}], lambda {{ name }}:{{ expression }})[1]
{%- endmacro %}

{% macro phone_rules() -%}
    {%- if not execute -%} {%- do ref("phone_regions") -%} {{ return({}) }} {%- endif -%}
    {%- set region = env_var("AFTERCALL_PHONE_REGION", "US") | trim | upper -%}
    {%- set seed = api.Relation.create(
        database=target.database,
        schema=generate_schema_name("seeds", none),
        identifier="phone_regions",
    ) -%}
    {%- set query -%}
        with
            codes as (
                select '(?:' || string_agg(country_code, '|' order by country_code) || ')(?:' || possible || ')' as pattern
                from {{ seed }} where possible is not null group by possible
            )
        select
            (select string_agg(pattern, '|' order by pattern) from codes) as international,
            (select string_agg(drops_zero, '|' order by drops_zero) from {{ seed }}) as dropped_zeros,
            own.*
        from (select 1) left join {{ seed }} as own on own.region = '{{ region | replace("'", "") }}'
    {%- endset -%}
    {%- set row = run_query(query).rows[0] -%}
    {%- set rules = {} -%}
    {%- for name in row.keys() -%} {%- do rules.update({name: row[name] or ""}) -%} {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}

{% macro phone_candidates(dialled, rules) -%}
    [
        case when {{ dialled }} like '+%' then substr({{ dialled }}, 2) end,
        case when regexp_matches({{ dialled }}, '^00[1-9]') then substr({{ dialled }}, 3) end,
        {%- if rules.abroad %}
            case
                when regexp_matches({{ dialled }}, '^(?:{{ rules.abroad }})[1-9]')
                then regexp_replace({{ dialled }}, '^(?:{{ rules.abroad }})', '')
            end,
        {%- endif -%}
        {%- if rules.country_code %}
            {%- set national = "regexp_full_match(%s, '" ~ rules.national ~ "')" -%}
            {%- set usual = "regexp_full_match(%s, '" ~ (rules.usual or "[^0-9]") ~ "')" -%}
            {%- set short = without_trunk(dialled, rules) -%}
            {%- set rest = "regexp_replace(" ~ dialled ~ ", '^" ~ rules.country_code ~ "', '')" -%}
            {%- set has_code = "starts_with(" ~ dialled ~ ", '" ~ rules.country_code ~ "')" -%}
            {%- set with_code = "'" ~ rules.country_code ~ "' || " %}
            case
                when
                    {{ has_code }}
                    and (
                        ({{ national | format(rest) }} and not {{ national | format(dialled) }})
                        or ({{ usual | format(rest) }} and not {{ usual | format(dialled) }})
                    )
                then {{ dialled }}
            end,
            case
                when {{ national | format(short) }}
                then {{ with_code }}{{ short }}
                when {{ national | format(dialled) }}
                then {{ with_code }}{{ dialled }}
            end,
            case
                when
                    {{ short }} <> {{ dialled }}
                    and (
                        ({{ dialled }} like '0%' and regexp_full_match({{ short }}, '[1-9][0-9]{5,11}'))
                        or {{ usual | format(short) }}
                    )
                then {{ with_code }}{{ short }}
            end,
            case when {{ has_code }} and {{ usual | format(rest) }} then {{ dialled }} end,
            case when {{ usual | format(dialled) }} then {{ with_code }}{{ dialled }} end,
        {%- endif %}
        case when regexp_full_match({{ dialled }}, '[1-9][0-9]{10,14}') then {{ dialled }} end
    ]
{%- endmacro %}

{% macro without_trunk(dialled, rules) -%}
    {%- set trunk = "'^(?:" ~ rules.trunk ~ ")'" -%}
    {%- if not rules.trunk -%} {{ dialled }}
    {%- elif not rules.trunk_rewrite -%} regexp_replace({{ dialled }}, {{ trunk }}, '')
    {%- else -%}
        case
            when coalesce(regexp_extract({{ dialled }}, {{ trunk }}, {{ rules.trunk_groups }}), '') <> ''
            then regexp_replace({{ dialled }}, {{ trunk }}, '{{ rules.trunk_rewrite }}')
            else regexp_replace({{ dialled }}, {{ trunk }}, '')
        end
    {%- endif -%}
{%- endmacro %}

{% macro dialled_number(value) -%}
    {%- set extension = (
        "(?:(?:extension|extensi\\x{f3}n|ext|xtn|x|#|~|int|anexo|\\x{434}\\x{43e}\\x{431}|poste|durchwahl|w|p)[:.=\\s]*"
        ~ "|[,;]\\s*)[0-9]{1,9}\\s*(?:#\\s*)?$"
    ) -%}
    {%- set digits -%}
        regexp_replace(
            regexp_replace(
                rtrim(regexp_replace(number, '{{ extension }}', ''), ' ,;'),
                '[\s().\-/\[\]_~"''=\x{b7}\x{2022}]',
                '',
                'g'
            ),
            '^[+]+',
            '+'
        )
    {%- endset -%}
    {%- set user = bound(user_of_address("typed"), "number", digits) -%}
    -- Most numbers are E.164 as they come, and pass by the work on the others.
    case
        when regexp_full_match({{ value }}, '[+]?[0-9]{7,15}')
        then {{ value }}
        else {{ bound(plain_text(value), "typed", user) }}
    end
{%- endmacro %}

{% macro plain_text(value) -%}
    {%- set zeros = [
        1632,
        1776,
        1984,
        2406,
        2534,
        2662,
        2790,
        2918,
        3046,
        3174,
        3302,
        3430,
        3558,
        3664,
        3792,
        3872,
        4160,
        4240,
        6112,
        6160,
        6470,
        6608,
        6784,
        6800,
        6992,
        7088,
        7232,
        7248,
        42528,
        43216,
        43264,
        43472,
        43504,
        43600,
        44016,
        65296,
        66720,
        68912,
        69734,
        69872,
        69942,
        70096,
        70384,
        70736,
        70864,
        71248,
        71360,
        71472,
        71904,
        72016,
        72784,
        73040,
        73120,
        73552,
        92768,
        92864,
        93008,
        120782,
        120792,
        120802,
        120812,
        120822,
        123200,
        123632,
        124144,
        125264,
        130032,
    ] -%}
    {%- set from = namespace(text="") -%}
    {%- for zero in zeros -%}
        {%- for digit in range(10) -%}
            {%- set from.text = from.text ~ "%c" % (zero + digit) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set ascii = namespace(text="", wide="") -%}
    {%- for code in range(33, 127) if not 48 <= code < 58 and code != 39 -%}
        {%- set ascii.text = ascii.text ~ "%c" % code -%}
        {%- set ascii.wide = ascii.wide ~ "%c" % (code + 65248) -%}
    {%- endfor -%}
    {%- set to = "0123456789" * (zeros | length) ~ ascii.text -%}
    trim(
        lower(
            case
                when length({{ value }}) > 128
                then ''
                when regexp_full_match({{ value }}, '[\x20-\x7e]*')
                then {{ value }}
                else
                    translate(
                        regexp_replace(
                            regexp_replace(
                                regexp_replace({{ value }}, '[\s\x{85}\p{Z}\x1c-\x1f]', ' ', 'g'),
                                '[\p{Cc}\p{Cf}\p{Co}\p{M}]',
                                '',
                                'g'
                            ),
                            '[\p{Pd}\x{2212}\x{30fc}]',
                            '-',
                            'g'
                        ),
                        '{{ from.text ~ ascii.wide }}',
                        '{{ to }}'
                    )
            end
        )
    )
{%- endmacro %}

{% macro user_of_address(text) -%}
    {%- set scheme = "^[\\s\"''=]*(tel|sips?|callto|whatsapp|phone)\\s*:\\s*/{0,2}" -%}
    {%- set inner -%}
        trim(
            case
                when regexp_matches({{ text }}, '<[^<>]*>')
                then regexp_extract({{ text }}, '<([^<>]*)>', 1)
                else {{ text }}
            end
        )
    {%- endset -%}
    {%- set user -%}
        case
            when contains(bare, '@')
            then split_part(split_part(split_part(bare, '@', 1), ';', 1), ':', 1)
            when regexp_matches(address, '{{ scheme }}')
            then split_part(bare, ';', 1)
            else bare
        end
    {%- endset -%}
    {%- set whole -%}
        trim(
            case
                when
                    regexp_extract(address, '{{ scheme }}', 1) in ('sip', 'sips')
                    and not contains(address, '@')
                    and not regexp_full_match(person, '[+]?[0-9]{3,}')
                then ''
                when person like '+%'
                then person
                else regexp_extract(address, ';\s*phone-context=([+][0-9.()-]+)', 1) || person
            end
        )
    {%- endset -%}
    {%- set bare -%}
        case
            when regexp_matches(address, '{{ scheme }}')
            then replace(replace(regexp_replace(address, '{{ scheme }}', ''), '%2b', '+'), '%20', ' ')
            else address
        end
    {%- endset -%}
    {{ bound(inner, "address", bound(bare, "bare", bound(user, "person", digits_of_float(whole)))) }}
{%- endmacro %}

{% macro digits_of_float(text) -%}
    {%- set rounded = "^([+]?[0-9])[.,]([0-9]{6,})e[+]?([0-9]{1,2})$" -%}
    {%- set fraction = "rtrim(regexp_extract(typed, '" ~ rounded ~ "', 2), '0')" -%}
    {%- set exponent = "coalesce(try_cast(regexp_extract(typed, '" ~ rounded ~ "', 3) as integer), 0)" -%}
    {%- set digits -%}
        case
            when regexp_matches(typed, '{{ rounded }}') and length({{ fraction }}) <= {{ exponent }}
            then regexp_extract(typed, '{{ rounded }}', 1) || rpad({{ fraction }}, {{ exponent }}, '0')
            when regexp_full_match(typed, '[+]?[0-9]{7,}[.]0+')
            then split_part(typed, '.', 1)
            when regexp_full_match(typed, '[+]?[0-9]{1,3}(?:,[0-9]{3}){2,}')
            then replace(typed, ',', '')
            else typed
        end
    {%- endset -%}
    {{ bound(text, "typed", digits) }}
{%- endmacro %}
