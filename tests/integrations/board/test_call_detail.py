"""The events of one call, out of a landing store that is too long to be searched whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrations.board import call_detail
from integrations.board.call_state import CALL_END, CALL_START
from integrations.board.routes import LONGEST_BODY, _pretty
from receiver.envelope import Facts, line, seal
from receiver.landing.local import LocalLandingStore
from tests.homes import landing_of

NOW = datetime.now(UTC)


def write(home: Path, at: datetime, *events: tuple[str, str]) -> None:
    """A segment of events, each a kind and a call."""
    path = home / "landing" / f"{at:%Y-%m-%d/%H}" / f"{at:%Y%m%dT%H%M%S%f}Z-{len(events):08x}.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [line(seal("atoms", Facts(None, kind, call), b"{}", at), b"{}") for kind, call in events]
    path.write_bytes(b"".join(lines))


@pytest.fixture
def store(tmp_path: Path) -> LocalLandingStore:
    write(tmp_path, NOW - timedelta(hours=30), (CALL_START, "other"))
    write(tmp_path, NOW - timedelta(hours=3), (CALL_START, 'a"b\\c \u2028'))
    write(tmp_path, NOW, (CALL_END, 'a"b\\c \u2028'), (CALL_START, "on the line"))
    return landing_of(tmp_path)  # type: ignore[return-value]


def kinds(landed: call_detail.Landed) -> list[str | None]:
    return [event.event_type for event in landed.events]


def test_a_call_is_found_whatever_its_id_and_its_events_are_in_order(store: LocalLandingStore) -> None:
    landed = call_detail.landed(store, "atoms", 'a"b\\c \u2028', {})
    assert (kinds(landed), landed.is_whole) == ([CALL_START, CALL_END], True)
    assert call_detail.landed(store, "bland", "on the line", {}) == call_detail.Landed([], is_whole=True)


@pytest.mark.parametrize("started_at", [None, datetime(2024, 1, 1)])  # noqa: DTZ001 - as the marts have it
def test_the_newest_events_are_found_however_much_landed_before(
    store: LocalLandingStore, monkeypatch: pytest.MonkeyPatch, started_at: datetime | None
) -> None:
    monkeypatch.setattr(call_detail, "LOOK_SECONDS", -1)
    known = {"started_at": started_at, "updated_at": NOW.replace(tzinfo=None)} if started_at else {}
    landed = call_detail.landed(store, "atoms", "on the line", known)
    assert (kinds(landed), landed.is_whole) == ([CALL_START], False)


def test_where_the_marts_know_when_a_call_was_only_that_time_is_read(store: LocalLandingStore) -> None:
    at = (NOW - timedelta(hours=30)).replace(tzinfo=None)
    assert kinds(call_detail.landed(store, "atoms", "other", {"started_at": at, "updated_at": at})) == [
        CALL_START
    ]
    assert (
        kinds(call_detail.landed(store, "atoms", "on the line", {"started_at": at, "updated_at": at})) == []
    )


DEEP = b'{"a":' * 250 + b"[" + b",".join(b"1" for _ in range(20_000)) + b"]" + b"}" * 250


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":[' + b"1," * 500_000 + b"1]}",
        DEEP,
        b"[" * 900 + b"]" * 900,
        b"[" * 60_000,
        b"\xff" * 100,
        b"{}",
    ],
    ids=["long", "deep and wide", "deep", "open", "not UTF-8", "empty"],
)
def test_a_raw_body_of_any_form_is_shown_in_bounds(payload: bytes) -> None:
    shown = _pretty(payload)
    assert shown
    assert len(shown) <= 4 * LONGEST_BODY
    assert ("bytes more" in shown) == (len(payload) > LONGEST_BODY)


def test_a_raw_body_has_a_field_per_line() -> None:
    assert _pretty(b'{"a":{"b":1}}') == '{\n  "a": {\n    "b": 1\n  }\n}'
