"""A board that starts from the published copy shows what it would show had it read every line."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.board.call_state import ANALYTICS, CALL_END, CALL_START
from integrations.board.landing_feed import OVERLAP
from integrations.board.live_calls import Receipts
from receiver.landing import Chunk
from receiver.landing.local import LocalLandingStore
from tests.conftest import Installation, Receiver, free_port
from tests.homes import landing_of
from tests.integrations.board.conftest import Board, Office, copy_of, until
from tests.integrations.board.test_landing_feed import shown, write_segment
from tests.integrations.board.test_live_calls import NOW, fresh, landing_line, numbers

HOUR = timedelta(hours=1)
CALLS = """
create table calls (
    call_key varchar, source varchar, call_id varchar, customer_phone varchar, direction varchar, agent_id varchar,
    started_at timestamp, updated_at timestamp, start_received_at timestamp, end_received_at timestamp,
    analytics_received_at timestamp, last_webhook_at timestamp
)
"""
Event = tuple[str, str, int, str, bool]
"""Kind, call, how many minutes ago, source, and whether it was recovered."""
EVENTS = st.tuples(
    st.sampled_from([CALL_START, CALL_END, ANALYTICS]),
    st.sampled_from(["a", "b", 'c"\\\u2028']),
    st.integers(0, 2000),
    st.sampled_from(["atoms", "vapi"]),
    st.booleans(),
)


def line_of(event: Event) -> bytes:
    kind, call, minutes_ago, source, is_recovered = event
    return landing_line(kind, call, minutes_ago, source, is_recovered)


def copied(events: list[Event]) -> list[Receipts]:
    """What the marts have of these events, as `calls` documents its columns."""
    receipts: dict[str, dict[str, list[tuple[datetime, bool]]]] = {}
    for kind, call, minutes_ago, source, is_recovered in events:
        at = NOW - timedelta(minutes=minutes_ago)
        kinds = (CALL_END, ANALYTICS) if (kind, source) == (ANALYTICS, "vapi") else (kind,)
        for each in kinds:
            receipts.setdefault(f"{source}:{call}", {}).setdefault(each, []).append((at, is_recovered))

    def first(kinds: dict[str, list[tuple[datetime, bool]]], kind: str) -> datetime | None:
        counted = [
            at
            for at, is_recovered in kinds.get(kind, [])
            if kind == CALL_START or CALL_START in kinds or not is_recovered
        ]
        return min(counted, default=None)

    return [
        (key, first(kinds, CALL_START), first(kinds, CALL_END), first(kinds, ANALYTICS))
        for key, kinds in receipts.items()
    ]


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=12), st.integers(0, 12), st.integers(0, 3))
def test_the_copy_and_the_lines_after_it_say_together_what_all_lines_say(
    events: list[Event], cut: int, overlap: int
) -> None:
    events.sort(key=lambda event: event[2], reverse=True)
    # the copy does not have history that waits for its start; in a home a start does not come hours after it
    waiting = {(event[3], event[1]) for event in events[:cut] if event[4] and event[0] != CALL_START}
    waiting -= {(event[3], event[1]) for event in events[:cut] if event[0] == CALL_START}
    later = [event for event in events[cut:] if event[0] != CALL_START or (event[3], event[1]) not in waiting]
    events = [*events[:cut], *later]
    live, restarted = fresh(), fresh()
    live.read(b"".join(map(line_of, events)))
    restarted.start_from(reversed(copied(events[:cut])), {})
    restarted.read(b"".join(map(line_of, events[max(cut - overlap, 0) :])))
    assert numbers(restarted.view(NOW)) == numbers(live.view(NOW))


def publish(home: Path, rows: list[tuple[object, ...]], table: str = CALLS) -> None:
    """A published copy with these calls."""
    path = home / "published" / "marts.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(table)
        for row in rows:
            connection.execute(f"insert into calls values ({', '.join('?' * len(row))})", row)


def row(call_id: str, *receipts: datetime | None, webhook: datetime | None = None) -> tuple[object, ...]:
    """A call of the copy: when its start, end and analytics were received."""
    naive = [at and at.replace(tzinfo=None) for at in receipts]
    newest = max(at for at in naive if at)
    heard = webhook.replace(tzinfo=None) if webhook else newest
    key = f"atoms:{call_id}"
    return key, "atoms", call_id, "+12025550143", "inbound", "agent_nora", naive[0], newest, *naive, heard


class Counting(LocalLandingStore):
    """A landing store that remembers which segments are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.paths: set[str] = set()

    def read(self, path: str, offset: int = 0, max_bytes: int = 8 << 20) -> Chunk:
        self.paths.add(path)
        return super().read(path, offset, max_bytes)


def test_only_the_lines_after_the_copy_are_read(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for hours_ago in (5, 3, 0):
        write_segment(tmp_path, f"{hours_ago}h", now - timedelta(hours=hours_ago))
    publish(
        tmp_path,
        [
            row("on the line", now - HOUR, None, None),
            row("over", now - 3 * HOUR, now - 2 * HOUR, now - 2 * HOUR, webhook=now - 4 * HOUR),
        ],
    )
    store = Counting(tmp_path / "landing")
    view = shown(store, tmp_path)[-1]
    assert [path[:13] for path in store.paths] == [f"{now:%Y-%m-%d/%H}"]
    assert [call.call_id for call in view.active] == ["0h-4", "0h-2", "0h-0", "on the line"]
    call = view.active[-1]
    assert (call.phone, call.direction, call.agent) == ("+12025550143", "inbound", "agent_nora")
    assert (call.started_at, call.is_at_least) == (now - HOUR, False)
    assert [(each.what, each.call_id) for each in view.feed[-4:]] == [
        ("started", "on the line"), ("analysed", "over"), ("ended", "over"), ("started", "over"),
    ]  # fmt: skip
    assert {each.phone for each in view.feed[-4:]} == {"+12025550143"}
    assert view.sources == {"atoms": now}


def test_a_source_is_as_old_as_its_last_webhook_and_not_as_a_recovered_event(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    publish(tmp_path, [row("a", now - 3 * HOUR, now - HOUR, None, webhook=now - 3 * HOUR)])
    assert shown(landing_of(tmp_path), tmp_path)[-1].sources == {"atoms": now - 3 * HOUR}


def test_what_became_durable_only_after_the_copy_is_read(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    late = now - OVERLAP + timedelta(minutes=1)
    write_segment(tmp_path, "late", late)
    publish(tmp_path, [row("newest", now, None, None)])
    assert len(shown(landing_of(tmp_path), tmp_path)[-1].active) == 4


def test_a_clock_that_was_ahead_hides_no_line(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    write_segment(tmp_path, "a", now)
    publish(tmp_path, [row("ahead", now + 9 * HOUR, None, None)])
    assert len(shown(landing_of(tmp_path), tmp_path)[-1].active) == 4


def publish_of_another_version(home: Path) -> None:
    publish(home, [("atoms:a", "atoms")], "create table calls (call_key varchar, source varchar)")


SPOILED: dict[str, Callable[[Path], object]] = {
    "of another version": publish_of_another_version,
    "no database": lambda home: (home / "published" / "marts.duckdb").write_bytes(b"torn"),
    "without a call": lambda home: publish(home, []),
    "missing": lambda home: (home / "published" / "marts.duckdb").unlink(),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED)
def test_without_a_copy_that_can_be_read_the_day_is_read_from_its_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: str
) -> None:
    now = datetime.now(UTC)
    write_segment(tmp_path, "a", now - 3 * HOUR)
    publish(tmp_path, [row("b", now - HOUR, None, None)])
    SPOILED[spoil](tmp_path)
    view = shown(landing_of(tmp_path), tmp_path)[-1]
    assert [each.call_id for each in view.feed] == ["a-4", "a-3", "a-3", "a-2", "a-1", "a-1", "a-0"]
    is_unreadable = spoil in ("of another version", "no database")
    assert ("the published copy is unreadable" in caplog.text) == is_unreadable


def test_a_board_that_is_killed_and_started_again_shows_the_same_after_a_pass(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "home", free_port())
    with Receiver(installation):
        with Board(installation) as board:
            office = Office(installation, board)
            office.start("on the line")
            for call_id in ("over", "analysed"):
                office.start(call_id)
                office.post("call.end", call_id, duration_seconds=60)
            office.post("analytics.completed", "analysed", metrics={"satisfaction_score": 4})
            installation.aftercall("run")
            office.post("call.start", "newest", call_direction="inbound", caller_phone="+12025550143")
            until(lambda: "newest" in board.part("feed"), "the newest call")
            until(lambda: "★★★★" in board.part("feed"), "the stars")
            before = {name: board.part(name) for name in ("floor", "active", "feed")}
            board.kill()
        # all that the copy holds is gone from the landing store
        for segment in (tmp_path / "home" / "landing").rglob("*.ndjson"):
            lines = segment.read_bytes().splitlines(keepends=True)
            segment.write_bytes(lines[-1])
        with Board(installation) as board:
            until(lambda: {name: board.part(name) for name in before} == before, "the same state")
    assert "4 started" in " ".join(
        before["floor"].replace('<span class="num">', "").replace("</span>", "").split()
    )
    assert copy_of(tmp_path / "home").version() is not None
