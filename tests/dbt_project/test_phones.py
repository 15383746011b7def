"""Callers' numbers, in the spellings of every country, as the macro reads them: the key that the CRM is asked by."""

from pathlib import Path
from typing import Any

import duckdb
import phonenumbers
import pytest
from jinja2 import Environment
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from integrations import phones

PROJECT = Path(__file__).parents[2] / "dbt_project"
MACROS = Environment(autoescape=False).from_string(
    (PROJECT / "macros" / "normalise.sql").read_text(encoding="utf-8")
)

# Where national numbers differ most: with and without a trunk prefix, of 8 to 11 digits, with a 0 that stays.
MANY = ["US", "DE", "AT", "IT", "ES", "FR", "GB", "NO", "CN", "BR", "IN", "RU", "HU", "JP", "AE"]


def read(spellings: list[str], region: str) -> list[str | None]:
    """What dbt makes of them where the region is the default one."""
    told: dict[str, Any] = phones.dialling(region)
    macros = MACROS.make_module({"var": told.__getitem__})
    query = f"select {macros.to_e164('one')} from (select unnest(?) as one)"  # type: ignore[attr-defined]
    return [row[0] for row in duckdb.execute(query, [spellings]).fetchall()]


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    """A land line and a mobile of the region, of the lengths that a person would write without a code."""
    found = [
        phonenumbers.example_number_for_type(region, kind)
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    ]
    return [one for one in found if one and len(phonenumbers.national_significant_number(one)) >= 8]


def spellings(number: phonenumbers.PhoneNumber) -> list[str]:
    """As a person of the same country, of another one, or a telephone exchange writes it."""
    significant = phonenumbers.national_significant_number(number)
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    trunk = phonenumbers.ndd_prefix_for_region(region, True)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return [
        e164,
        f"00{e164[1:]}",
        f"tel:{e164}",
        phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        f"+{number.country_code} ({trunk}) {significant}" if trunk == "0" else e164,
        f"{e164} ext. 12",
    ]


@pytest.mark.parametrize("region", ["US", ""])
def test_international_spellings_of_every_country(region: str) -> None:
    asked = [
        (spelling, phones.e164(spelling, region))
        # Colombia's 0 stays in some numbers and not in others.
        for country in sorted(phonenumbers.SUPPORTED_REGIONS - {"CO"})
        for number in examples(country)
        for spelling in spellings(number)
    ]
    assert len(asked) > 2_000
    found = read([spelling for spelling, _ in asked], region)
    wrong = [(*one, got) for one, got in zip(asked, found, strict=True) if got != one[1]]
    assert not wrong


# Argentina writes a mobile's 9 as a 15 in its middle, Belarus dials 80.
@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS - {"AR", "BY"})[::4] + MANY)
def test_national_spellings(region: str) -> None:
    asked, expected = [], []
    for number in examples(region):
        written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        significant = phonenumbers.national_significant_number(number)
        asked += [written, written.replace(" ", ""), significant, f"{number.country_code}{significant}"]
        expected += [phonenumbers.format_number(number, PhoneNumberFormat.E164)] * 4
    assert read(asked, region) == expected


def test_by_hand_the_project_reads_numbers_as_the_default_region_does() -> None:
    project = (PROJECT / "dbt_project.yml").read_text(encoding="utf-8").splitlines()
    assert {f'  {name}: "{value}"' for name, value in phones.dialling("US").items()} <= set(project)
