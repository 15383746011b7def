"""Positions in the landing store: nothing is read twice, nothing is passed over, the state stays small."""

from pathlib import Path
from typing import Any

from orchestration.load import cursor
from tests.homes import landing_of


def path(day: int, hour: int = 0) -> str:
    return f"2026-11-{day:02}/{hour:02}/202611{day:02}T{hour:02}0000000000Z-0000000a.ndjson"


def write(home: Path, name: str, data: bytes) -> None:
    file = home / "landing" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write(data)


def test_only_bytes_behind_the_cursor_are_unread(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), dict[str, Any]()
    write(tmp_path, path(1), b"abc\n")
    assert cursor.backlog_bytes(store, state) == 4
    cursor.advance(state, path(1), 4)
    assert list(cursor.unread(store, state)) == []
    write(tmp_path, path(1), b"de\n")
    write(tmp_path, path(2), b"f\n")
    assert [(segment.path, at) for segment, at in cursor.unread(store, state)] == [(path(1), 4), (path(2), 0)]


def read_days(home: Path, *days: int, archived: bool = True) -> dict[str, Any]:
    """The state after segments of these days were loaded, and archived."""
    state = dict[str, Any]()
    for day in days:
        write(home, path(day), b"x\n")
        cursor.advance(state, path(day), 2)
    if archived:
        archive_all(home)
    return state


def archive_all(home: Path) -> None:
    store = landing_of(home)
    for segment in store.segments():
        if not segment.is_archived:
            store.compact(segment)


def test_archived_days_are_forgotten_but_stay_read(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), read_days(tmp_path, *range(1, 21))
    cursor.forget(store, state)
    assert sorted(state["cursors"]) == [path(18), path(19), path(20)]
    assert cursor.backlog_bytes(store, state) == 0
    assert all(cursor.is_loaded(store, segment, state) for segment in store.segments())
    before = dict(state)
    cursor.forget(store, state)
    assert state == before


def test_what_is_not_archived_keeps_its_cursor_however_old(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), read_days(tmp_path, *range(1, 21), archived=False)
    cursor.forget(store, state)
    assert len(state["cursors"]) == 20


def test_events_of_a_clock_that_was_set_back_are_read(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), read_days(tmp_path, *range(10, 21))
    cursor.forget(store, state)
    write(tmp_path, path(3), b"late\n")
    assert [(segment.path, at) for segment, at in cursor.unread(store, state)] == [(path(3), 0)]
    assert not cursor.is_loaded(store, next(store.segments()), state)
    cursor.advance(state, path(3), 5)
    cursor.forget(store, state)
    assert cursor.backlog_bytes(store, state) == 0
    archive_all(tmp_path)
    cursor.forget(store, state)
    assert path(3) not in state["cursors"]
    assert cursor.backlog_bytes(store, state) == 0


def test_cursors_of_removed_segments_are_dropped(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), read_days(tmp_path, 18, 19, 20)
    store.remove(path(19))
    cursor.forget(store, state)
    assert sorted(state["cursors"]) == [path(18), path(20)]


def test_a_new_warehouse_reads_every_archive(tmp_path: Path) -> None:
    store = landing_of(tmp_path)
    read_days(tmp_path, *range(1, 21))
    state = dict[str, Any]()
    cursor.forget(store, state)
    assert [segment.path for segment, _ in cursor.unread(store, state)] == [path(day) for day in range(1, 21)]
    for day in range(1, 11):  # a load that took all that it may
        cursor.advance(state, path(day), 2)
    cursor.forget(store, state)
    assert [segment.path for segment, _ in cursor.unread(store, state)] == [
        path(day) for day in range(11, 21)
    ]


def test_a_torn_last_line_is_never_waited_for(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), read_days(tmp_path, *range(1, 8), archived=False)
    write(tmp_path, path(2), b'{"torn')
    archive_all(tmp_path)
    assert all(cursor.is_loaded(store, segment, state) for segment in store.segments())
    cursor.forget(store, state)
    assert sorted(state["cursors"]) == [path(5), path(6), path(7)]
    assert cursor.backlog_bytes(store, state) == 0


def test_a_whole_line_behind_the_cursor_is_not_loaded(tmp_path: Path) -> None:
    store, state = landing_of(tmp_path), read_days(tmp_path, 1)
    write(tmp_path, path(2), b"x\ny\n")
    cursor.advance(state, path(2), 2)
    loaded = {segment.path: cursor.is_loaded(store, segment, state) for segment in store.segments()}
    assert loaded == {path(1): True, path(2): False}
