"""Callers' numbers as dbt and the destinations read them: libphonenumber's answer for every spelling and region."""

import csv
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from integrations import phones
from integrations.phone_rules import dropped_zeros, every_rule, international, rules_of

PROJECT = Path(__file__).parents[2] / "dbt_project"
SEED = PROJECT / "seeds" / "phone_regions.csv"
MACROS: Any = (
    Environment(autoescape=False, extensions=["jinja2.ext.do"])
    .from_string((PROJECT / "macros" / "phones.sql").read_text(encoding="utf-8"))
    .make_module()
)

# Where national numbers differ most: with and without a trunk prefix, of 8 to 11 digits, with a 0 that stays, with a
# prefix that is rewritten.
MANY = [
    "US",
    "DE",
    "AT",
    "IT",
    "ES",
    "FR",
    "GB",
    "NO",
    "CN",
    "BR",
    "IN",
    "RU",
    "HU",
    "JP",
    "AE",
    "AR",
    "BY",
    "MX",
    "AU",
]
ADA = "+12025550144"


def read(spellings: Sequence[str | None], region: str) -> list[str | None]:
    """What dbt makes of them where the region is the setting's."""
    own = rules_of(region)
    rules = {
        **(asdict(own) if own else {"abroad": "", "country_code": ""}),
        "international": international(),
        "dropped_zeros": dropped_zeros(),
    }
    query = f"select {MACROS.to_e164('one', rules)} from (select unnest(?::varchar[]) as one)"
    return [row[0] for row in duckdb.execute(query, [list(spellings)]).fetchall()]


def read_by_both(spellings: Sequence[str], region: str) -> list[str | None]:
    """What dbt makes of them, which is what the destinations make of them."""
    by_dbt = read(spellings, region)
    by_python = [phones.e164(spelling, region) or None for spelling in spellings]
    both = zip(spellings, by_dbt, by_python, strict=True)
    assert [one for one in both if one[1] != one[2]] == []
    return by_dbt


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    """A land line and a mobile of the region."""
    numbers = [
        phonenumbers.example_number_for_type(region, kind)
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    ]
    return [one for one in numbers if one]


def e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def spellings_abroad(number: phonenumbers.PhoneNumber) -> list[str]:
    """As a person of another country, a telephone exchange, a screen or a spreadsheet writes it."""
    significant = phonenumbers.national_significant_number(number)
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    trunk = phonenumbers.ndd_prefix_for_region(region, True)
    key = e164(number)
    groups = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    return [
        key,
        groups,
        f"00{key[1:]}",
        f"tel:{key}",
        phonenumbers.format_number(number, PhoneNumberFormat.RFC3966),
        f"tel:{key};ext=89",
        f"sip:{key}@trunk.example.com",
        f"sips:{key};npdi@trunk.example.com:5061;user=phone",
        f"<sip:{key}@192.0.2.1>",
        f'"Ann Lee" <sip:{key}@trunk.example.com;user=phone>;tag=8f1',
        f"sip:%2B{key[1:]}@trunk.example.com",
        f"whatsapp:{key}",
        f"{groups} x89",
        f"{groups} ext. 89",
        f"{groups} extension 89",
        f"{key},,89",
        f"{key};ext=89",
        f"{key} #89",
        f"{groups}~89",
        f"\u202d{groups}\u202c",
        f"\u200e\ufeff{key}\u200b",
        groups.replace(" ", "\u202f").replace("-", "\u2011"),
        groups.replace(" ", "\xa0"),
        "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in groups),
        "".join(chr(0x660 + int(one)) if one.isdigit() else one for one in groups),
        "".join(chr(0x966 + int(one)) if one.isdigit() else one for one in key),
        "".join(chr(0x1D7CE + int(one)) if one.isdigit() else one for one in key),
        f"{key[0]}{key[1:]}\ufe0f",
        f"'{key}",
        f'="{key}"',
        f"{key}.0",
        f"+{key[1]}.{key[2:]}e{len(key) - 2}",
        f"+{key[1]}.{key[2:]}E+{len(key) - 2}",
        f"+{int(key):,}",
        f"+{number.country_code} ({trunk}) {significant}" if trunk == "0" else key,
    ]


@pytest.mark.parametrize("region", ["US", ""])
def test_international_spellings_of_every_country(region: str) -> None:
    asked = [
        (spelling, e164(number))
        # Colombia's 0 stays in some numbers and not in others.
        for country in sorted(phonenumbers.SUPPORTED_REGIONS - {"CO"})
        for number in examples(country)
        for spelling in spellings_abroad(number)
    ]
    assert len(asked) > 15_000
    answers = read_by_both([spelling for spelling, _ in asked], region)
    assert [(*one, got) for one, got in zip(asked, answers, strict=True) if got != one[1]] == []


@pytest.mark.parametrize("region", sorted(set(sorted(phonenumbers.SUPPORTED_REGIONS)[::4] + MANY)))
def test_national_spellings(region: str) -> None:
    asked, expected = [], []
    for number in examples(region):
        written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        significant = phonenumbers.national_significant_number(number)
        forms = [written, written.replace(" ", ""), f"{written} x89", f"<sip:{written}@pbx.example.com>"]
        if len(significant) >= 8:
            forms += [significant, f"{number.country_code}{significant}", f"{significant}.0"]
        asked += forms
        expected += [e164(number)] * len(forms)
    assert read_by_both(asked, region) == expected


@pytest.mark.parametrize("region", MANY)
def test_numbers_abroad_as_people_of_the_country_dial_them(region: str) -> None:
    abroad = [number for country in ("US", "DE", "IN") if country != region for number in examples(country)]
    asked = [phonenumbers.format_out_of_country_calling_number(number, region) for number in abroad]
    assert read_by_both(asked, region) == [e164(number) for number in abroad]


WITHHELD = ("266696687", "7378742833", "86282452253", "2562533", "8656696")


@pytest.mark.parametrize("region", ["US", "DE", "CN", ""])
def test_what_is_no_number(region: str) -> None:
    asked = [
        "", " ", "+", "anonymous", "Restricted", "UNAVAILABLE", "unknown", "private", "blocked", "withheld", "None",
        "{{user_number}}", "XXXXXXXX", "+1202555XXXX", "0", "0000000000", "+00000000",
        "sip:anonymous@anonymous.invalid",
        "<sip:ann@example.com>", "sip:192.0.2.1", "sip:192.0.2.1:5060", "client:ann", "ann1@example.com", "12",
        "1.20256e10", "1.20256E+10", "4,91556E+12", "+1.2026e+10", "12345678901234567890", "+999123456789", "1" * 129,
        *WITHHELD, *(f"+{code}" for code in WITHHELD), *(f"sip:{code}@carrier.example.com" for code in WITHHELD),
        "\u202d+266696687\u202c", "\uff0b7378742833", "266-696-687",
    ]  # fmt: skip
    assert read_by_both(asked, region) == [None] * len(asked)
    assert read([None], region) == [None]


def test_a_short_number_is_its_digits() -> None:
    assert read_by_both(["71234", "110", "9-1-1", "sip:1001@10.0.0.5"], "US") == [
        "71234",
        "110",
        "911",
        "1001",
    ]
    assert read_by_both(["110", "112"], "DE") == ["110", "112"]


def test_a_local_number_of_a_uri_names_its_country() -> None:
    asked = [
        "tel:555-0144;phone-context=+1-202",
        "tel:030-123456;phone-context=+49",
        "tel:7042;phone-context=example.com",
    ]
    assert read_by_both(asked, "US") == ["+12025550144", "+4930123456", "7042"]


def test_every_decimal_digit_of_unicode_is_read() -> None:
    digits = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Nd"]
    zeros = [one for one in digits if unicodedata.decimal(one) == 0]
    assert len(zeros) > 60
    asked = ["+" + "".join(chr(ord(zero) + int(one)) for one in ADA[1:]) for zero in zeros]
    assert read_by_both(asked, "US") == [ADA] * len(asked)


@given(st.lists(st.text("+0123456789 ()-.,;#x/@:<>eEsiptel\u202d\u0661\uff11\xa0", max_size=24), max_size=40))
@settings(max_examples=150, deadline=None)
def test_strangers_text_has_one_answer(spellings: list[str]) -> None:
    for region in ("US", "DE", ""):
        read_by_both(spellings, region)


def test_the_seed_is_what_libphonenumber_says() -> None:
    with SEED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [asdict(rules) for rules in every_rule()], (
        "write it: python -m integrations.phone_rules > dbt_project/seeds/phone_regions.csv"
    )
