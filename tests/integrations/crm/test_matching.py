"""Which contact a caller is, and what an update may write."""

from itertools import permutations

import pytest

from integrations.crm.matching import Candidate, chosen, due

PHONE = "+12025550143"


def pick(*candidates: Candidate, email: str = "") -> str | None:
    """The choice, which the order of the candidates does not change."""
    winners = {chosen(some, PHONE, email, "US") for some in permutations(candidates)}
    assert len(winners) == 1
    return winners.pop()


def test_of_several_with_the_number_the_oldest() -> None:
    old, new = Candidate("9", "2025-01-01", ("202-555-0143",)), Candidate("1", "2026-01-01", (PHONE,))
    assert pick(old, new) == "9"
    assert pick(Candidate("10", "2025-01-01", (PHONE,)), old) == "9"


def test_one_without_an_extension_goes_before_an_older_one_with() -> None:
    desk, person = Candidate("1", "2020", (f"{PHONE} ext. 7",)), Candidate("2", "2026", (PHONE,))
    assert pick(desk, person) == "2"
    assert pick(desk) == "1"
    assert pick(desk, Candidate("3", "2026", (f"{PHONE}x9", "(202) 555-0143"))) == "3"


def test_the_address_counts_only_where_there_is_no_number() -> None:
    bare = Candidate("1", "2020", (), ("Ada@Example.com",))
    other = Candidate("2", "2019", ("+493012345678",), ("ada@example.com",))
    assert pick(bare, other, email="ada@example.com") == "1"
    assert pick(bare, other, Candidate("3", "2026", (PHONE,)), email="ada@example.com") == "3"
    assert pick(other, email="ada@example.com") is None
    assert pick(bare) is None


def test_what_a_system_came_up_with_but_does_not_match_counts_for_nothing() -> None:
    assert pick(Candidate("1", "2020", ("+442025550143", "anonymous", ""))) is None
    assert pick() is None


@pytest.mark.parametrize(
    ("present", "written"),
    [
        ({}, {"name": "Ada", "calls": "2"}),
        ({"name": "", "calls": "1"}, {"name": "Ada", "calls": "2"}),
        ({"name": "Countess", "calls": "2"}, {}),
        ({"name": "Countess", "calls": "1", "email": "a@b.example"}, {"calls": "2"}),
    ],
)
def test_an_update_fills_what_is_empty_and_keeps_what_is_ours_up_to_date(
    present: dict[str, str], written: dict[str, str]
) -> None:
    assert due(present, {"name": "Ada", "email": "", "calls": "2"}, {"calls"}) == written
