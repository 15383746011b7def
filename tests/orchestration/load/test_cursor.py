"""Positions in the landing store: nothing is read twice, nothing is passed over, the state stays small."""

from pathlib import Path
from typing import Any

from orchestration.load import cursor
from receiver.landing import open_landing


def path(day: int, hour: int = 0) -> str:
    return f"2026-11-{day:02}/{hour:02}/202611{day:02}T{hour:02}0000000000Z-0000000a.ndjson"


def write(home: Path, name: str, data: bytes) -> None:
    file = home / "landing" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write(data)


def test_only_bytes_behind_the_cursor_are_unread(tmp_path: Path) -> None:
    store, state = open_landing(tmp_path), dict[str, Any]()
    write(tmp_path, path(1), b"abc\n")
    assert cursor.backlog_bytes(store, state) == 4
    cursor.advance(state, path(1), 4)
    assert list(cursor.unread(store, state)) == []
    write(tmp_path, path(1), b"de\n")
    write(tmp_path, path(2), b"f\n")
    assert [(segment.path, at) for segment, at in cursor.unread(store, state)] == [(path(1), 4), (path(2), 0)]


def test_old_days_are_forgotten_but_stay_read(tmp_path: Path) -> None:
    store, state = open_landing(tmp_path), dict[str, Any]()
    for day in range(1, 21):
        write(tmp_path, path(day), b"x\n")
        cursor.advance(state, path(day), 2)
    assert len(state["cursors"]) == 3
    assert cursor.backlog_bytes(store, state) == 0
