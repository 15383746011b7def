"""What every ticket destination does, asked of the system behind it: create, find again, update, deleted, forbidden.

A destination takes part with one adapter, which the faults of `tests.integrations.faults.suite` use too:

    class MyDesk(TicketSystem): ...

    class TestSystem(TicketSuite, FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
        @pytest.fixture(scope="class")
        @classmethod
        def adapter(cls) -> Iterator[TicketSystem]: ...

What only one system does stays in that system's own tests.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import open_destination
from integrations.errors import DestinationUnavailable, NotFound
from integrations.outbox import DueAction
from integrations.ticket.desk import TicketDestination
from tests.integrations.examples import delivery, goes_out_as_shown, ticket
from tests.integrations.faults.suite import UnderFault

CALLS = itertools.count(1)
TRANSCRIPT = "\n\nAgent: Hello?\nCustomer: It is broken."
RESOLVED = "A later report says that the issue was resolved"
Desk = Callable[..., TicketDestination]


class TicketSystem(UnderFault):
    """What the suite must know of a system; `settings`, `wrong_credentials` and the like are those of the faults."""

    channel = "ticket"
    called: str
    """The system's name in errors."""
    url: str
    missing: tuple[tuple[dict[str, Any], str], ...]
    """Settings that cannot work, each with the name that the error must have."""
    updates_text = False
    """True: news replaces the text of a ticket that nobody touched; else each is a comment of its own."""

    def title(self, number: str) -> str:
        """The ticket's title."""
        raise NotImplementedError

    def priority(self, number: str) -> str:
        """The ticket's priority, in small letters."""
        raise NotImplementedError

    def text(self, number: str) -> str:
        """All that people read in the ticket: its description and its comments."""
        raise NotImplementedError

    def fields(self, number: str) -> Mapping[str, Any]:
        """The ticket's fields by the system's names."""
        raise NotImplementedError

    def edit(self, number: str) -> Mapping[str, Any]:
        """Change what a person changes, a low priority among it, but for the title; the fields as they are then."""
        raise NotImplementedError

    def remove(self, number: str) -> None:
        """Delete the ticket."""
        raise NotImplementedError


def due(**payload: Any) -> DueAction:
    """A ticket of a call that no other test has."""
    return ticket(f"suite-{next(CALLS)}", **payload)


def changed(row: DueAction, **payload: Any) -> DueAction:
    """The same action with other content."""
    return replace(row, payload={**row.payload, **payload})


def _find_and_create(target: TicketDestination, row: DueAction) -> None:
    target.find(delivery(row))
    target.send(delivery(row), None)


class TicketSuite:
    """Every claim once, for whatever system the fixture `adapter` yields."""

    @pytest.fixture
    def desk(self, adapter: TicketSystem, tmp_path: Path) -> Iterator[Desk]:
        opened: list[Any] = []

        def make(**changes: Any) -> TicketDestination:
            values = adapter.settings(adapter.url) | {"http_read_seconds": 60} | changes
            opened.append(open_destination("ticket", IntegrationSettings(home=tmp_path, **values)))
            return opened[-1]  # type: ignore[no-any-return]

        yield make
        for one in opened:
            one.close()

    @pytest.mark.parametrize("ending", ["", "ä" * 300])
    def test_it_is_found_again_by_its_own_key_only(
        self, adapter: TicketSystem, desk: Desk, ending: str
    ) -> None:
        row = due()
        row = replace(row, action_key=row.action_key + ending)
        target = desk()
        assert target.find(delivery(row)) is None
        number = target.send(delivery(row), None)
        assert desk().find(delivery(row)) == number
        assert desk().find(delivery(due())) is None
        assert adapter.title(number) == "Rental car: Ada"

    def test_the_same_content_again_changes_nothing(self, adapter: TicketSystem, desk: Desk) -> None:
        row = due()
        number = desk().send(delivery(row), None)
        before = adapter.text(number)
        assert desk().body(delivery(row), number) is None
        assert desk().send(delivery(row), number) == number
        assert adapter.text(number) == before

    def test_an_update_tells_what_is_new_once(self, adapter: TicketSystem, desk: Desk) -> None:
        row = due(description=f"It broke.{TRANSCRIPT}")
        number = desk().send(delivery(row), None)
        before = adapter.text(number)
        later = changed(row, description=f"Refunded.{TRANSCRIPT}", priority="high", is_resolved=True)
        for _ in range(2):
            # The second time is after a crash between the update and its mark.
            assert desk().send(delivery(later), number) == number
        text = adapter.text(number)
        assert adapter.priority(number) == "high"
        assert [text.count(words) for words in ("Refunded.", RESOLVED, "Hello?")] == [1, 1, 1]
        assert text.startswith(before) != adapter.updates_text

    def test_what_an_agent_changed_stays(self, adapter: TicketSystem, desk: Desk) -> None:
        row = due()
        number = desk().send(delivery(row), None)
        theirs = adapter.edit(number)
        for priority in ("high", "urgent"):
            news = changed(row, priority=priority, title="New", description=f"It is {priority}.")
            desk().send(delivery(news), number)
        assert {name: adapter.fields(number)[name] for name in theirs} == theirs
        assert (adapter.priority(number), adapter.title(number)) == ("low", "New")
        assert adapter.text(number).count("It is urgent.") == 1

    def test_a_ticket_that_somebody_deleted(self, adapter: TicketSystem, desk: Desk) -> None:
        row, target = due(), desk()
        number = target.send(delivery(row), None)
        adapter.remove(number)
        with pytest.raises(NotFound, match=f"{adapter.called} has no ticket {number} any more"):
            target.send(delivery(row), number)
        assert desk().find(delivery(row)) is None
        assert target.current(delivery(row), number) is None
        # It is created anew: no key of the first one may make the system answer with that.
        assert adapter.title(target.send(delivery(row), None)) == "Rental car: Ada"

    def test_long_words_fit(self, adapter: TicketSystem, desk: Desk) -> None:
        row = due(title="t" * 900, description=f"It broke.\n\nAgent: {'<wörd*[> ' * 40_000}")
        number = desk().send(delivery(row), None)
        assert desk().find(delivery(row)) == number
        assert len(adapter.text(number)) > 10_000

    def test_what_is_shown_is_what_goes_out(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        goes_out_as_shown(desk(), due(), monkeypatch)

    def test_a_wrong_key_is_named(self, adapter: TicketSystem, desk: Desk) -> None:
        with pytest.raises(
            DestinationUnavailable, match=rf"{adapter.called} answered 401.*Look at AFTERCALL_"
        ):
            # Jira shows a wrong token what everybody may see, so creating alone would not notice.
            _find_and_create(desk(**adapter.wrong_credentials()), due())

    def test_a_missing_setting_is_named(self, adapter: TicketSystem, desk: Desk) -> None:
        for changes, setting in adapter.missing:
            with pytest.raises(DestinationUnavailable, match=f"set {setting}"):
                desk(**changes)
