"""The files of the published copy: the one that readers open, and the one before it, which the next one starts from.

To copy a gigabyte and have it on the disk takes longer than to renew it. So the file that was published before is
kept and brought up to date instead, unless somebody still has it open: a reader may hold a file as long as it likes.
Beside them lies a note of how far each goes. What changes a file must be called inside `Warehouse.reading`.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from orchestration.warehouse import duckdb_connection
from orchestration.warehouse.interface import Connection, LandingMarks, NotPublished


@dataclass(frozen=True)
class Watermarks:
    """How far a copy goes: the newest build of a call, judgement of a repeat and load of an action in it.

    The three moments grow from build to build, also when the clock is set back, until a complete build begins anew:
    `completed` tells one of these from the other.
    """

    project: str
    completed: int
    built_at: str
    judged_through: str
    actions_loaded_at: str

    def is_of_same_build(self, other: "Watermarks") -> bool:
        """True if both copies follow the same complete build of the same project."""
        return (self.project, self.completed) == (other.project, other.completed)


@dataclass(frozen=True)
class _Entry:
    """What the note says of a file: how far it goes, and which version of the warehouse was copied when.

    `seconds` are those of the clock that only runs forward, which begins anew with each start (`boot`) of the machine.
    """

    marks: Watermarks
    version: str
    boot: str
    seconds: float
    landing: LandingMarks | None


class PublishedFile:
    """The published copy as a DuckDB file: see `interface.Published`, and below that what publishing does with it.

    The file is called after the schema, and DuckDB calls the catalogue after the file: its tables stand in the default
    schema, so that both `calls` and `marts.calls` name one (a schema `marts` within would make the second ambiguous).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = path.with_name(f"{path.name}.before")
        self._note = path.with_name("copied.json")

    @property
    def location(self) -> str:
        """See `Published.location`."""
        return str(self.path)

    def version(self) -> Hashable | None:
        """See `Published.version`."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def warehouse_version(self) -> str | None:
        """See `Published.warehouse_version`."""
        entry = self._entry()
        return entry.version if entry is not None else None

    def published_at(self) -> datetime | None:
        """See `Published.published_at`."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except OSError:
            return None

    def seconds_ago(self) -> float | None:
        """See `Published.seconds_ago`."""
        entry = self._entry()
        if entry is None or entry.boot != _boot() or entry.seconds > time.monotonic():
            return None
        return time.monotonic() - entry.seconds

    def marks(self) -> LandingMarks | None:
        """See `Published.marks`."""
        entry = self._entry()
        return entry.landing if entry is not None else None

    @contextmanager
    def connect(self, memory_limit: str | None = None, threads: int | None = None) -> Iterator[Connection]:
        """See `Published.connect`."""
        if not self.path.exists():
            raise NotPublished(f"nothing was published yet to {self.path}; the next pass does so")
        limits: dict[str, Any] = {"memory_limit": memory_limit, "threads": threads}
        options = {name: limit for name, limit in limits.items() if limit is not None}
        with duckdb_connection.connect(self.location, options, read_only=True) as connection:
            yield connection

    def forget_base(self) -> None:
        """See `Published.forget_base`."""
        self._note.unlink(missing_ok=True)

    def base(self, marks: Watermarks) -> tuple[Path, Watermarks] | None:
        """The file of the same build as `marks` that the next copy can start from, with its marks; None without one."""
        entries = self._entries()
        for file in (self._before, self.path):
            entry = entries.get(_identity(file))
            if entry is None or not entry.marks.is_of_same_build(marks):
                continue
            if file == self.path or _is_nobodys(file):
                return file, entry.marks
        return None

    def fresh(self) -> Path:
        """Where the next copy is written; what a killed run left there is removed, with its log."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        for path in (fresh, fresh.with_name(f"{fresh.name}.wal")):
            path.unlink(missing_ok=True)
        return fresh

    def take(self, file: Path, fresh: Path) -> None:
        """Put what `base` named at `fresh`, there to be renewed; what is published stays."""
        if file == self.path:
            shutil.copyfile(file, fresh)
        else:
            file.replace(fresh)

    def put_in_place(
        self, fresh: Path, marks: Watermarks, version: str, landing: LandingMarks | None = None
    ) -> None:
        """Publish the file, a copy of that version of the warehouse, in one step, and keep the one that it replaces.

        Killed on the way, the next copy starts from what is published, or is a whole one.
        """
        entry = _Entry(marks, version, _boot(), time.monotonic(), landing)
        entries = {_identity(fresh): entry, _identity(self.path): self._entry()}
        beside = self._note.with_name(f"{self._note.name}.new")
        beside.write_bytes(orjson.dumps({file: asdict(of) for file, of in entries.items() if of is not None}))
        beside.replace(self._note)
        self._before.unlink(missing_ok=True)
        with suppress(OSError):  # the first copy, or a file system without links
            os.link(self.path, self._before)
        fresh.replace(self.path)

    def _entry(self) -> _Entry | None:
        """What the note says of the published file."""
        return self._entries().get(_identity(self.path))

    def _entries(self) -> dict[str, _Entry]:
        """What the note says of files, by their identity; nothing if it cannot be read."""
        try:
            noted = orjson.loads(self._note.read_bytes())
            return {file: _entry_of(entry) for file, entry in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return {}


def _entry_of(noted: dict[str, Any]) -> _Entry:
    landing = noted["landing"]
    return _Entry(
        **{
            **noted,
            "marks": Watermarks(**noted["marks"]),
            "landing": None if landing is None else LandingMarks(**landing),
        }
    )


def _boot() -> str:
    """A name for the time since the machine was started; the same for all where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _identity(file: Path) -> str:
    """A name for the very file, wherever it is moved; a part of what is written to it tells by its size."""
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_ino}:{status.st_size}"


def _is_nobodys(file: Path) -> bool:
    """Whether no other process has the file open and no other name leads to it; False where that cannot be told."""
    if not hasattr(fcntl, "F_SETLEASE") or file.stat().st_nlink > 1:
        return False
    with file.open("r+b") as opened:
        try:
            # the kernel grants it only to who is alone, and it ends here
            fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            return False
    return True
