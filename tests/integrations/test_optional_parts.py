"""Records that are written without what a system refuses of them."""

import pytest

from integrations.errors import NotFound, RateLimited, Rejected, Unreachable, Unsendable
from integrations.optional_parts import Omission, Part, write_without_refused
from integrations.rest import Missing

GROUP, PRIORITY, TEXT = (
    Part("group", ("group_id",)),
    Part("priority", ("priority",)),
    Part("text", ("body",), 1),
)
PARTS = (GROUP, PRIORITY, TEXT)


class System:
    """Refuses what it does not like, in its own words, and notes what it was offered."""

    def __init__(self, *dislikes: tuple[str, str]) -> None:
        self.dislikes, self.offered = dict(dislikes), list[tuple[str, ...]]()

    def __call__(self, omission: Omission) -> Omission:
        self.offered.append(omission.parts)
        for part, words in self.dislikes.items():
            if part not in omission:
                raise Rejected("Desk answered 422", words)
        return omission


def test_a_whole_record_that_is_taken_is_written_once() -> None:
    system = System()
    assert not write_without_refused(system, PARTS)
    assert system.offered == [()]


def test_only_what_a_refusal_names_is_left_out() -> None:
    system = System(("priority", '{"priority": "gone"}'))
    left = write_without_refused(system, PARTS)
    assert left.parts == ("priority",)
    assert left.note == "priority (Desk answered 422)"
    assert system.offered == [(), ("priority",)]


def test_one_after_the_other_is_left_out() -> None:
    system = System(("group", "GROUP_ID: is invalid"), ("text", "body: too long"))
    assert write_without_refused(system, PARTS).parts == ("group", "text")


def test_a_refusal_in_words_that_nobody_knows_costs_the_least_needed_first() -> None:
    system = System(("priority", "Priorität ist nicht gültig"))
    assert write_without_refused(system, PARTS).parts == ("group", "priority")
    system = System(("text", "zu lang"))
    assert write_without_refused(system, PARTS).parts == ("group", "priority", "text")
    # A word within another word names nothing.
    assert write_without_refused(System(("group", "apriority")), PARTS).parts == ("group", "priority")


def test_what_is_refused_without_them_too_is_refused() -> None:
    system = System(("cost centre", "Cost centre cannot be blank"))
    with pytest.raises(Rejected, match="422"):
        write_without_refused(system, PARTS)
    assert len(system.offered) == 3


@pytest.mark.parametrize(
    "error", [NotFound("g"), Missing("m"), Unsendable("u"), RateLimited("b"), Unreachable("u"), KeyError("k")]
)
def test_what_is_no_refusal_of_the_content_comes_out_at_once(error: Exception) -> None:
    offered = []

    def write(omission: Omission) -> None:
        offered.append(omission)
        raise error

    with pytest.raises(type(error)):
        write_without_refused(write, PARTS)
    assert len(offered) == 1
