"""One number in all the spellings that people and systems give it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import phones

ADA = "+12025550143"
BERLIN = "+4930123456"


@pytest.mark.parametrize(
    ("written", "region", "key"),
    [
        ("+12025550143", "", ADA),
        ("(202) 555-0143", "US", ADA),
        ("202.555.0143 ext. 5", "us", ADA),
        ("+1 (202) 555-0143 x12", "DE", ADA),
        ("001 202 555 0143", "DE", ADA),
        ("1 202 555 0143", "US", ADA),
        ("tel:+1-202-555-0143", "", ADA),
        ("+" + "".join(chr(0xFF10 + int(digit)) for digit in "12025550143"), "", ADA),
        ("(030) 12 34 56", "DE", BERLIN),
        ("+49 (0)30 123456", "US", BERLIN),
        ("0049 30 123456", "US", BERLIN),
        ("06 1234 5678", "IT", "+390612345678"),
    ],
)
def test_every_spelling_has_one_key(written: str, region: str, key: str) -> None:
    assert phones.e164(written, region) == key
    assert phones.same(written, key, region)
    assert phones.same(key, written, region)


@pytest.mark.parametrize(
    ("one", "other", "region"),
    [
        ("(202) 555-0143", ADA, ""),
        ("030 123456", BERLIN, "AT"),
        ("+12025550144", ADA, "US"),
        ("anonymous", "unknown", "US"),
        ("", "", "US"),
        ("555-0143", ADA, "US"),
    ],
)
def test_what_is_not_the_same(one: str, other: str, region: str) -> None:
    assert not phones.same(one, other, region)


def test_what_is_no_number_in_full_keeps_its_digits() -> None:
    assert phones.e164("911", "US") == "911"
    assert phones.same("9-1-1", "911", "US")
    assert phones.significant("911", "US") == "911"
    assert phones.spellings("911", "US") == ("911",)
    assert phones.spellings("anonymous", "US") == ()
    assert phones.readable("911", "US") == "911"


def test_extension_validity_and_parts() -> None:
    assert phones.has_extension("(202) 555-0143 ext 5", "US")
    assert not phones.has_extension(ADA, "US")
    assert phones.is_valid(ADA, "")
    assert not phones.is_valid("+19995550143", "")
    assert phones.significant(BERLIN, "") == "30123456"
    assert phones.readable(BERLIN, "") == "+49 30 123456"
    assert [phones.is_region(text) for text in ("US", "de", "Germany", "")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("key", "region"), [(ADA, "US"), (ADA, "DE"), (BERLIN, "DE"), ("+390612345678", "IT")]
)
def test_every_spelling_leads_back_to_the_number(key: str, region: str) -> None:
    written = phones.spellings(key, region)
    assert written[0] == key
    assert len(set(written)) == len(written)
    assert {phones.e164(form, region) for form in written} == {key}
    assert ("202-555-0143" in written) == (key == ADA and region == "US")
    assert phones.spellings(f"{key};ext=5", region) == written


@given(st.text(max_size=40), st.sampled_from(["", "US", "DE", "xx"]))
def test_strangers_text_never_fails(value: str, region: str) -> None:
    key = phones.e164(value, region)
    assert phones.e164(key, region) == key
    assert all(phones.same(form, value, region) for form in phones.spellings(value, region))
