"""The story of a call, against the landing files, the warehouse and the outbox of a real pass."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Rejected, TransientError
from integrations.outbox import DueAction, dispatch, open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.tools import retention
from orchestration.tools.trace import trace
from orchestration.warehouse import open_warehouse
from receiver.envelope import Facts, line, read_line, seal
from tests.conftest import Installation
from tests.homes import landing_of
from tests.warehouse_files import published_file

HOSTILE = "[red]shout[/red] \u001b[2J\u001b]0;gone\u0007 \u202egnirts \u0085 end"
AT = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
TWIN, LATE = "twin-1", "late-1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, land: Any) -> Path:
    """After one pass: simulated calls, one call id of two sources, one event twice; then one more event landed."""
    home = tmp_path_factory.mktemp("traced") / "home"
    land(home, calls=8)
    ended = {"event": "call.end", "call_id": TWIN, "summary": HOSTILE, "disposition": "unresolved"}
    said = {"type": "call.end", "timestamp": AT.isoformat(), "data": {"call_id": TWIN, "summary": HOSTILE}}
    entries = [
        event("atoms", TWIN, ended, AT),
        event("generic", TWIN, said, AT + timedelta(seconds=1)),
        event("atoms", TWIN, ended, AT + timedelta(seconds=2)),
    ]
    append(home, entries, AT)
    Installation(home, 0).built().aftercall("run")
    append(
        home, [event("atoms", LATE, {"event": "call.start", "call_id": LATE}, AT)], AT + timedelta(hours=5)
    )
    return home


def event(source: str, call_id: str, body: dict[str, Any], at: datetime) -> bytes:
    sent = json.dumps(body).encode()
    return line(
        seal(source, Facts(event_type=str(body.get("event") or body["type"]), call_id=call_id), sent, at),
        sent,
    )


def append(home: Path, entries: list[bytes], at: datetime) -> None:
    file = home / "landing" / f"{at:%Y-%m-%d/%H/%Y%m%dT%H%M%S%f}Z-0000000b.ndjson"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(entries))
    os.utime(file, (at.timestamp(), at.timestamp()))


def command(home: Path, *arguments: str, code: int = 0) -> str:
    return Installation(home, 0).ask(*arguments, code=code)


def settings_of(home: Path) -> tuple[OrchestrationSettings, IntegrationSettings]:
    return OrchestrationSettings(home=home), IntegrationSettings(home=home)


def loaded_events(home: Path) -> list[tuple[str, str, str, datetime]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("select source, call_id, event_id, received_at from raw.call_events")
        return [(row[0], row[1], row[2], row[3]) for row in found.fetchall()]


@pytest.mark.parametrize("archived", [False, True])
def test_every_loaded_event_leads_to_its_line(home: Path, archived: bool) -> None:
    settings = settings_of(home)
    if archived:
        assert retention.tidy(settings[0]).archived == 3
    store, traced = landing_of(home), 0
    for source, call_id, event_id, received_at in loaded_events(home):
        (found,) = [
            event for event in trace(*settings, call_id).calls[source].events if event.event_id == event_id
        ]
        assert found.places
        assert found.received_at == found.places[0].received_at == received_at.replace(tzinfo=UTC)
        for place in found.places:
            landed = store.read(place.segment, place.offset, 1).data
            event = read_line(landed)
            assert event is not None
            assert (event.event_id, event.call_id) == (event_id, call_id)
        traced += 1
    assert traced > 15


def test_every_action_is_there_with_its_tries(home: Path) -> None:
    settings = settings_of(home)
    with open_outbox(settings[1].outbox_url) as outbox:
        actions = outbox.actions(limit=1_000)
        assert {action.status for action in actions} >= {"sent", "skipped"}
        for action in actions:
            told = trace(*settings, str(action.call_id)).calls[str(action.source)]
            (found,) = [one for one in told.actions if one.action.action_key == action.action_key]
            assert found.action == action
            assert found.attempts == outbox.attempts(action.action_key)
            assert not found.is_shared
            if action.parent_key is not None and outbox.action(action.parent_key) is not None:
                assert action.parent_key in {one.action.action_key for one in told.actions}


def test_two_sources_with_one_call_id_are_told_apart(home: Path) -> None:
    both = json.loads(command(home, "trace", TWIN, "--json"))
    assert [call["source"] for call in both["calls"]] == ["atoms", "generic"]
    atoms, generic = both["calls"]
    assert [len(event["places"]) for event in atoms["events"]] == [2]
    assert [len(event["places"]) for event in generic["events"]] == [1]
    assert atoms["outcome"]["is_resolved"] is False
    assert atoms["built_at"] > atoms["events"][0]["loaded_at"]
    one = json.loads(command(home, "trace", TWIN, "--json", "--source", "generic"))
    assert one["calls"] == [generic]
    assert "no call 'twin-1' of source 'nobody'" in command(home, "trace", TWIN, "--source", "nobody", code=1)


def test_what_strangers_said_moves_no_cursor_and_is_no_markup(home: Path) -> None:
    shown = command(home, "trace", TWIN)
    assert "[red]shout[/red]" in shown
    assert "gnirts" in shown
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]", shown)
    assert "\u001b" not in command(home, "trace", TWIN, "--json")
    assert "received again" in shown
    assert "Z-0000000b.ndjson" in shown


def test_an_unknown_call_is_said_to_be_unknown(home: Path) -> None:
    said = command(home, "trace", "nobody\u001b[2J", code=1)
    assert "no call 'nobody\\x1b[2J'" in said
    assert "aftercall landing cat" in said
    nowhere = home.parent / "nowhere"
    assert "no call" in command(nowhere, "trace", "nobody", code=1)
    assert not nowhere.exists()


def test_an_event_that_waits_to_be_loaded_is_told(home: Path) -> None:
    call = trace(*settings_of(home), LATE).calls["atoms"]
    (event,) = call.events
    assert event.loaded_at is None
    assert event.places
    assert call.call is None
    assert "received" in command(home, "trace", LATE)


def test_the_published_copy_speaks_while_the_warehouse_is_busy(home: Path) -> None:
    settings = settings_of(home)
    free = trace(*settings, TWIN)
    with open_warehouse(settings[0]).writing():
        busy = trace(*settings, TWIN, wait_seconds=0.2)
        assert "busy" in command(home, "trace", TWIN, "--wait", "0.2")
    assert (free.is_busy, busy.is_busy) == (False, True)
    for name, call in free.calls.items():
        assert busy.calls[name].outcome == call.outcome
        assert busy.calls[name].actions == call.actions
        assert [event.places for event in busy.calls[name].events] == [event.places for event in call.events]


def test_a_call_is_found_while_its_first_pass_has_the_warehouse(home: Path) -> None:
    settings = settings_of(home)
    published = published_file(settings[0])
    published.rename(published.with_suffix(".aside"))
    try:
        with open_warehouse(settings[0]).writing():
            told = trace(*settings, TWIN, wait_seconds=0.2)
            assert "the warehouse is busy" in command(home, "trace", "nobody", "--wait", "0.2", code=1)
    finally:
        published.with_suffix(".aside").rename(published)
    assert [len(event.places) for call in told.calls.values() for event in call.events] == [2, 1]


def test_what_the_landing_store_has_not_any_more_is_said(home: Path) -> None:
    settings = settings_of(home)
    retention.tidy(settings[0])
    store = landing_of(home)
    (segment,) = [
        segment for segment in store.segments() if segment.path.endswith("083000000000Z-0000000b.ndjson")
    ]
    store.remove(segment.path)
    told = trace(*settings, TWIN)
    assert [event.places for call in told.calls.values() for event in call.events] == [[], []]
    assert "removed" in command(home, "trace", TWIN)


class Broken:
    """A system that is down at first, and then will not have it."""

    name = "broken"

    def __init__(self) -> None:
        self.errors: list[Exception] = [Rejected("no such queue"), TransientError("down \u001b[31m for now")]

    def find(self, delivery: Delivery) -> str | None:
        return None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        raise self.errors.pop()


def test_failed_tries_are_told_with_their_errors(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    now = datetime.now(UTC)
    with open_outbox(settings[1].outbox_url) as outbox:
        outbox.enqueue([DueAction("k", "ticket", "ticket", "atoms", "c1", {}, now)], now, settings[1])
        broken = Broken()
        for later in (0, 1):
            dispatch(outbox, "ticket", settings[1], now=now + timedelta(days=later), destination=broken)
    (traced,) = trace(*settings, "c1").calls["atoms"].actions
    assert [attempt.outcome for attempt in traced.attempts] == ["retrying", "dead"]
    shown = command(tmp_path, "trace", "c1")
    assert "down [31m for now" in shown
    assert shown.count("no such queue") == 2
