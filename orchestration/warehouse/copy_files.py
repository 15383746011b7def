"""The files of the published copy: the one that readers open, and the one before it, which the next one starts from.

To copy a gigabyte and have it on the disk takes longer than to renew it. So the file that was published before is
kept and brought up to date instead, unless somebody still has it open: a reader may hold a file as long as it likes.
Beside them lies a note of how far each goes. Call all of this inside `warehouse.writing`.
"""

import fcntl
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from orchestration.config import OrchestrationSettings


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


def base(settings: OrchestrationSettings, marks: Watermarks) -> tuple[Path, Watermarks] | None:
    """The file of the same build as `marks` that the next copy can start from, with its marks; None without one."""
    known = _known(settings)
    for file in (_before(settings), settings.published):
        entry = known.get(_identity(file))
        if entry is None or not entry.marks.is_of_same_build(marks):
            continue
        if file == settings.published or _is_nobodys(file):
            return file, entry.marks
    return None


def published_version(settings: OrchestrationSettings) -> str | None:
    """The version of the warehouse that the published file holds; None if that cannot be told of this very file."""
    entry = _known(settings).get(_identity(settings.published))
    return entry.version if entry is not None else None


def published_seconds_ago(settings: OrchestrationSettings) -> float | None:
    """Seconds since the published file was put in place; None if that cannot be told, or the machine was restarted."""
    entry = _known(settings).get(_identity(settings.published))
    if entry is None or entry.boot != _boot() or entry.seconds > time.monotonic():
        return None
    return time.monotonic() - entry.seconds


def take(settings: OrchestrationSettings, file: Path, fresh: Path) -> None:
    """Put what `base` named at `fresh`, there to be renewed; what is published stays."""
    if file == settings.published:
        shutil.copyfile(file, fresh)
    else:
        file.replace(fresh)


def clear(fresh: Path) -> None:
    """Remove what a killed run left there, with its log."""
    for path in (fresh, fresh.with_name(f"{fresh.name}.wal")):
        path.unlink(missing_ok=True)


def put_in_place(settings: OrchestrationSettings, fresh: Path, marks: Watermarks, version: str) -> None:
    """Publish the file, a copy of that version of the warehouse, in one step, and keep the one that it replaces.

    Killed on the way, the next copy starts from what is published, or is a whole one.
    """
    target, before = settings.published, _before(settings)
    known = _known(settings)
    entry = _Entry(marks, version, _boot(), time.monotonic())
    entries = {_identity(fresh): entry, _identity(target): known.get(_identity(target))}
    note = _note(settings)
    beside = note.with_name(f"{note.name}.new")
    beside.write_bytes(orjson.dumps({file: asdict(of) for file, of in entries.items() if of is not None}))
    beside.replace(note)
    before.unlink(missing_ok=True)
    with suppress(OSError):  # the first copy, or a file system without links
        os.link(target, before)
    fresh.replace(target)


def forget(settings: OrchestrationSettings) -> None:
    """Have the next copy be a whole one: something changed that no event tells of."""
    _note(settings).unlink(missing_ok=True)


def _before(settings: OrchestrationSettings) -> Path:
    return settings.published.with_name(f"{settings.published.name}.before")


def _note(settings: OrchestrationSettings) -> Path:
    return settings.published.with_name("copied.json")


def _known(settings: OrchestrationSettings) -> dict[str, _Entry]:
    """What the note says of files, by their identity."""
    try:
        noted = orjson.loads(_note(settings).read_bytes())
        return {file: _Entry(**{**of, "marks": Watermarks(**of["marks"])}) for file, of in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


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
