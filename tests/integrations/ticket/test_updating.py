"""What an update changes, tells and keeps; and settings that name queues and priorities of other systems."""

from dataclasses import replace

import pytest

from integrations.errors import DestinationUnavailable, Forbidden
from integrations.ticket.rendering import Ticket, ticket_of
from integrations.ticket.targets import targets
from integrations.ticket.updating import first, read, reference, update
from tests.integrations.examples import delivery
from tests.integrations.examples import ticket as due

FIELDS = {"subject": "Rental car", "priority": "normal"}


def ticket_with(description: str = "It broke.\n\nAgent: Hello?") -> Ticket:
    return ticket_of(delivery(due(description=description)))


def test_when_it_was_is_no_news() -> None:
    fields = {"priority": "normal"}
    before = ticket_of(delivery(due()))
    after = ticket_of(
        delivery(due(started_at="2026-11-02T08:00:00Z", agent_id="a7")), "https://board.example"
    )
    assert update(after, fields, fields, first(before, fields)) is None


def test_what_is_stored_survives_being_stored() -> None:
    written = first(ticket_with(), FIELDS)
    assert read(written.dumped()) == written
    assert len(written.dumped()) < 1_000


@pytest.mark.parametrize("text", [None, "", "{", "{}", "[]", '{"text": 1, "transcript": 2, "fields": 3}', 5])
def test_what_is_stored_and_was_changed_is_nothing(text: object) -> None:
    assert read(text) is None


def test_the_same_again_is_nothing() -> None:
    assert update(ticket_with(), FIELDS, FIELDS, first(ticket_with(), FIELDS)) is None


def test_fields_alone_need_no_comment() -> None:
    due_now = update(ticket_with(), FIELDS | {"priority": "high"}, FIELDS, first(ticket_with(), FIELDS))
    assert due_now is not None
    assert (dict(due_now.fields), due_now.comment) == ({"priority": "high"}, None)


def test_a_transcript_is_sent_once() -> None:
    written = first(ticket_with("It broke."), FIELDS)
    arrived = update(ticket_with(), FIELDS, FIELDS, written)
    assert arrived is not None
    assert arrived.comment == ticket_with()
    later = ticket_with("Refunded.\n\nAgent: Hello?")
    again = update(later, FIELDS, FIELDS, arrived.written)
    assert again is not None
    assert again.comment == replace(later, transcript="")


def test_a_field_of_theirs_is_theirs_even_when_it_looks_like_ours_later() -> None:
    theirs = FIELDS | {"priority": "high"}
    wanted = FIELDS | {"priority": "high"}
    first_time = update(ticket_with("New."), wanted, theirs, first(ticket_with(), FIELDS))
    assert first_time is not None
    assert dict(first_time.fields) == {}
    second = update(ticket_with("Newer."), FIELDS | {"priority": "urgent"}, theirs, first_time.written)
    assert second is not None
    assert dict(second.fields) == {}


def test_nobody_knows_what_was_written_so_no_field_is_touched() -> None:
    unknown = update(ticket_with(), FIELDS | {"priority": "high"}, FIELDS, None)
    assert unknown is not None
    assert (dict(unknown.fields), unknown.comment) == ({}, ticket_with())
    assert update(ticket_with(), FIELDS, FIELDS | {"priority": "low"}, unknown.written) is None


def test_a_reference_is_one_word_of_its_key() -> None:
    assert reference("ticket:atoms:1") == reference("ticket:atoms:1") != reference("ticket:atoms:2")
    assert reference("ticket:a b:\ud83d").removeprefix("aftercall-").isalnum()


def test_names_in_the_other_system() -> None:
    names = targets(" Billing=123, support = 456 ,789", "AFTERCALL_DESK")
    assert [names.of(name) for name in ("billing", "BILLING", "support", "cars")] == [
        "123",
        "123",
        "456",
        "789",
    ]
    assert names.all() == ["123", "456", "789"]
    few = targets("billing=1", "AFTERCALL_DESK")
    assert few.of("cars") is None
    with pytest.raises(Forbidden, match="AFTERCALL_DESK says nothing for 'cars', and nothing for all others"):
        few.needed("cars")
    assert targets("", "AFTERCALL_DESK").all() == []


@pytest.mark.parametrize("value", ["1,2", "=1", "a=", "a=1,A=2"])
def test_names_that_cannot_be_read(value: str) -> None:
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_DESK to name=target"):
        targets(value, "AFTERCALL_DESK")
