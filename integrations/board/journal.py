"""Who asked what of which action: one JSON object a line, on disk before it is done.

The outbox says what became of an action; this says who wanted it.
"""

import os
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson


@dataclass(frozen=True)
class Entry:
    """`what` is retry or give_up; `is_known`: whether the name was checked."""

    at: datetime
    who: str
    is_known: bool
    what: str
    action_key: str


class Journal:
    """`board/operations.ndjson` in the home."""

    def __init__(self, home: Path) -> None:
        self._path = home / "board" / "operations.ndjson"
        self._lock = threading.Lock()

    def write(self, who: str, what: str, action_key: str, *, is_known: bool) -> None:
        """Add an entry. Raises OSError."""
        entry = Entry(datetime.now(UTC), who, is_known, what, action_key)
        line = orjson.dumps(asdict(entry), option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(fd, line)
                os.fsync(fd)
            finally:
                os.close(fd)

    def of(self, action_key: str) -> list[Entry]:
        """An action's entries, in order. A torn line is none."""
        found = []
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                entry = orjson.loads(line)
                if entry["action_key"] == action_key:
                    at = datetime.fromisoformat(entry["at"])
                    found.append(Entry(at, entry["who"], entry["is_known"], entry["what"], action_key))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                continue
        return found
