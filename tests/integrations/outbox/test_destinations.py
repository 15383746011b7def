"""Several destinations behind a channel: each has a row, and a changed configuration makes no twin."""

import importlib
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import DueAction, Outbox, dispatch
from tests.integrations.examples import NOW, contact, email, note, task, ticket
from tests.integrations.outbox.systems import did, say

Settings = Callable[..., IntegrationSettings]
KEY = ticket().action_key


def rows(outbox: Outbox) -> dict[str, tuple[str, str]]:
    return {action.action_key: (action.destination, action.status) for action in outbox.actions()}


def keys(home: Path, name: str) -> list[str]:
    return [line["key"] for line in did(home, name)]


def test_each_gets_it_under_the_actions_own_key(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north, south")
    assert outbox.enqueue([ticket()], NOW, settings).created == 2
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 2
    assert rows(outbox) == {KEY: ("north", "sent"), f"{KEY}@south": ("south", "sent")}
    assert keys(systems, "north") == keys(systems, "south") == [KEY]
    assert outbox.enqueue([ticket()], NOW, settings).unchanged == 2
    turned = make_settings(tickets="south,north")
    outbox.enqueue([ticket(title="new")], NOW, turned)
    assert dispatch(outbox, "ticket", turned, now=NOW).updated == 2
    assert [line["did"] for name in ("north", "south") for line in did(systems, name)] == [
        "create", "update", "create", "update",
    ]  # fmt: skip


def test_a_note_hangs_on_the_contact_of_its_own_system(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(crm="north,south")
    outbox.enqueue([task(), note(), contact()], NOW, settings)
    say(systems, "south", "fails", "retryable")
    assert dispatch(outbox, "crm", settings, now=NOW).sent == 3
    assert did(systems, "south") == []
    say(systems, "south", "fails")
    later = NOW + timedelta(days=1)
    assert dispatch(outbox, "crm", settings, now=later).sent == 3
    for name in ("north", "south"):
        contacts = [(line["key"], line["contact"]) for line in did(systems, name)]
        own = f"{name}/contact:+12025550143"
        assert contacts == [
            (contact().action_key, None), (note().action_key, own), (task().action_key, own),
        ]  # fmt: skip


@pytest.mark.parametrize("failure", ["paused", "unreachable", "refused"])
def test_a_dead_system_stops_nobody_beside_it(
    outbox: Outbox, make_settings: Settings, systems: Path, failure: str
) -> None:
    settings = make_settings(tickets="north,south")
    outbox.enqueue([ticket(f"{number}") for number in range(30)], NOW, settings)
    say(systems, "north", "fails", failure)
    report = dispatch(outbox, "ticket", settings, now=NOW)
    assert report.sent == 30
    assert len(did(systems, "south")) == 30
    (pause,) = outbox.pauses()
    assert (pause.channel, pause.destination) == ("ticket", "north")
    attempts = sum(action.attempts for action in outbox.actions(destination="north"))
    assert attempts == {"paused": 0, "unreachable": 5, "refused": 10}[failure]
    assert report.due == 0
    assert (report.waiting, report.next_attempt_at is not None) == (30, True)


def test_a_system_that_stays_away_costs_no_more_attempts_and_comes_back(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", stop_after_unreachable=3)
    outbox.enqueue([ticket(f"{number}") for number in range(8)], NOW, settings)
    say(systems, "north", "fails", "unreachable")
    now = NOW
    for _ in range(20):
        until = dispatch(outbox, "ticket", settings, now=now).paused_until
        assert until is not None
        now = until
    assert sum(action.attempts for action in outbox.actions()) == 3
    say(systems, "north", "fails")
    while dispatch(outbox, "ticket", settings, now=now).waiting:
        now += timedelta(minutes=1)
    assert len(did(systems, "north")) == 8
    assert outbox.pauses() == []


def test_a_thing_that_may_have_been_done_is_looked_for_and_costs_nothing(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(emails="north", stop_after_unreachable=2, retry_max_attempts=4)
    outbox.enqueue([email()], NOW, settings)
    say(systems, "north", "fails", "unanswered")
    now = NOW
    for _ in range(20):
        left = dispatch(outbox, "email", settings, now=now)
        now = max(now, *(moment for moment in (left.next_attempt_at, left.paused_until) if moment), now)
    action = outbox.action(email().action_key)
    assert action is not None
    assert (action.status, action.failures) == ("retrying", 0)
    say(systems, "north", "fails")
    assert dispatch(outbox, "email", settings, now=now).sent == 1


@pytest.mark.parametrize("action", [ticket, email])
def test_what_was_created_stays_where_it_is(
    outbox: Outbox, make_settings: Settings, systems: Path, action: Callable[..., DueAction]
) -> None:
    before = make_settings(tickets="north", emails="north")
    outbox.enqueue([action()], NOW, before)
    dispatch(outbox, action().channel, before, now=NOW)
    after = make_settings(tickets="south", emails="south")
    outbox.enqueue([action(customer_name="Eve")], NOW, after)
    dispatch(outbox, action().channel, after, now=NOW)
    assert did(systems, "south") == []
    expected = ["create", "update"] if action is ticket else ["create"]
    assert [line["did"] for line in did(systems, "north")] == expected


def test_what_was_not_created_follows_the_configuration(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    say(systems, "north", "fails", "paused")
    before = make_settings(tickets="north")
    outbox.enqueue([ticket("1"), ticket("2")], NOW, before)
    dispatch(outbox, "ticket", before, now=NOW)
    after = make_settings(tickets="south")
    assert dispatch(outbox, "ticket", after, now=NOW).sent == 2
    assert keys(systems, "south") == ["ticket:atoms:1", "ticket:atoms:2"]
    assert outbox.pauses() == []


def test_a_destination_that_is_taken_away_and_brought_back(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    say(systems, "south", "fails", "paused")
    both, one = make_settings(tickets="north,south"), make_settings(tickets="north")
    outbox.enqueue([ticket()], NOW, both)
    dispatch(outbox, "ticket", both, now=NOW)
    report = dispatch(outbox, "ticket", one, now=NOW)
    assert (report.waiting, rows(outbox)[f"{KEY}@south"]) == (0, ("south", "skipped"))
    outbox.enqueue([ticket(title="new")], NOW, one)
    assert rows(outbox)[f"{KEY}@south"] == ("south", "skipped")
    say(systems, "south", "fails")
    assert dispatch(outbox, "ticket", both, now=NOW).sent + 1 == 2
    assert keys(systems, "south") == [KEY]


def test_what_is_sent_once_more_goes_only_where_it_was_wanted(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(emails="north,south")
    outbox.enqueue([email("1"), email("2")], NOW, settings)
    say(systems, "south", "fails", "refused")
    dispatch(outbox, "email", settings, now=NOW)
    say(systems, "south", "fails")
    again = outbox.resend(email("1").action_key, "Ada")
    # What is retried has every open row placed anew.
    outbox.retry(f"{email('2').action_key}@south", NOW)
    dispatch(outbox, "email", settings, now=NOW)
    assert keys(systems, "north")[-1] == again
    assert keys(systems, "south") == [email("2").action_key]


def test_from_preview_to_a_system(outbox: Outbox, make_settings: Settings, systems: Path) -> None:
    preview, north = make_settings(), make_settings(tickets="north", crm="north")
    outbox.enqueue([ticket("1"), ticket("2"), contact()], NOW, preview)
    for channel in ("ticket", "crm"):
        dispatch(outbox, channel, preview, now=NOW)
    outbox.enqueue([ticket("1"), ticket("2", title="new"), contact()], NOW, north)
    for channel in ("ticket", "crm"):
        dispatch(outbox, channel, north, now=NOW)
    assert keys(systems, "north") == ["ticket:atoms:2", contact().action_key]
    assert rows(outbox)["ticket:atoms:1"] == ("preview", "sent")


def test_a_new_system_gets_the_contacts_that_notes_will_hang_on(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    before, after = make_settings(crm="north"), make_settings(crm="north,south")
    outbox.enqueue([contact(), note("1")], NOW, before)
    dispatch(outbox, "crm", before, now=NOW)
    outbox.enqueue([contact(call_count=2), note("1"), note("2")], NOW, after)
    dispatch(outbox, "crm", after, now=NOW)
    assert keys(systems, "south") == [contact().action_key, "note:atoms:2"]
    assert did(systems, "south")[1]["contact"] == "south/contact:+12025550143"
    assert len(keys(systems, "north")) == 4


def test_what_was_created_in_a_system_that_is_unknown_now_waits_and_says_so(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    outbox.enqueue([ticket("1")], NOW, make_settings(tickets="north"))
    dispatch(outbox, "ticket", make_settings(tickets="north"), now=NOW)
    (systems.parent / "systems" / "ticket" / "north.py").unlink()
    del sys.modules["integrations.ticket.north"]
    importlib.invalidate_caches()
    settings = make_settings(tickets="south")
    outbox.enqueue([ticket("1", title="new"), ticket("2")], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 1
    assert "no destination 'north' any more" in outbox.pauses()[0].reason
