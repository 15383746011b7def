"""The writing side of a local landing store: one open segment, rolled by size and hour.

One caller at a time (the group commit sees to that). Reading does not belong here.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from receiver.landing.archive import sync_folder
from receiver.landing.store import LandingUnavailable

# macOS has no fdatasync
_SYNC: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True)
class Disk:
    """The system calls whose failure decides whether a line is safe; a test may let one of them fail."""

    write: Callable[[int, bytes | memoryview], int] = os.write
    sync: Callable[[int], None] = _SYNC
    sync_folder: Callable[[Path], None] = sync_folder


DISK = Disk()


@dataclass
class _Open:
    fd: int
    path: Path
    hour: str
    size: int = 0


class SegmentWriter:
    """Appends batches of lines to a segment of this process.

    A segment that saw any failure is cut back to its last durable line and never written again: a reader
    may already stand behind the cut, and after a failed fsync the kernel may have dropped the pages, so
    that a second fsync that succeeds proves nothing. The next batch begins a new segment, which is how the
    store recovers by itself.
    """

    def __init__(self, root: Path, segment_bytes: int, disk: Disk = DISK) -> None:
        self._root = root
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._open: _Open | None = None
        self._has_root = False
        self._pid = os.getpid()
        self._last = datetime.min.replace(tzinfo=UTC)

    def write(self, lines: Sequence[bytes]) -> None:
        """Make the lines durable, all of them or none. Raises LandingUnavailable."""
        try:
            segment = self._current()
        except OSError as error:
            raise LandingUnavailable(f"cannot open a segment: {_reason(error)}") from error
        data = lines[0] if len(lines) == 1 else b"".join(lines)
        try:
            self._write_all(segment.fd, data)
            self._disk.sync(segment.fd)
        except BaseException as error:
            self._abandon()
            if isinstance(error, OSError):
                raise LandingUnavailable(f"cannot write the segment: {_reason(error)}") from error
            raise
        segment.size += len(data)

    def close(self) -> None:
        """Close the open segment, if any; all of it is durable already."""
        if self._open is not None:
            fd, self._open = self._open.fd, None
            # what was acknowledged is on disk already, so a failing close takes nothing back
            with contextlib.suppress(OSError):
                os.close(fd)

    def probe(self) -> None:
        """Create, write, sync and remove a small file beside the segments. Raises LandingUnavailable."""
        path = self._root / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self._make_folder(self._root)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self._write_all(fd, b"ready\n")
                self._disk.sync(fd)
            finally:
                os.close(fd)
                path.unlink()
        except OSError as error:
            raise LandingUnavailable(_reason(error)) from error

    def _current(self) -> _Open:
        if self._pid != os.getpid():  # after a fork the parent goes on with the segment
            self._pid = os.getpid()
            self.close()
        now = datetime.now(UTC)
        if self._open and (self._open.hour != f"{now:%Y-%m-%d/%H}" or self._open.size >= self._segment_bytes):
            self.close()
        if self._open is None:
            self._open = self._begin(now)
        return self._open

    def _begin(self, now: datetime) -> _Open:
        # paths of one process keep their order even when the clock is set back
        self._last = max(now, self._last + timedelta(microseconds=1))
        hour = f"{self._last:%Y-%m-%d/%H}"
        folder = self._root / hour
        self._make_folder(folder)
        path = folder / f"{self._last:%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(4)}.ndjson"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # before the first line and for as long as this may write: who gets it later has a closed segment
            fcntl.flock(fd, fcntl.LOCK_EX)
            self._disk.sync_folder(folder)
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return _Open(fd, path, f"{now:%Y-%m-%d/%H}")

    def _make_folder(self, folder: Path) -> None:
        """Create a folder and its parents. All are durable then: another worker may have made, not yet synced, one.

        Above the store that is asked once, and no further up than a worker could have made anything.
        """
        parent = folder.parent
        is_known = folder == self._root and self._has_root
        if folder.is_dir() and (is_known or parent == folder or not os.access(parent, os.R_OK | os.W_OK)):
            return
        self._make_folder(parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        self._disk.sync_folder(parent)
        self._has_root = self._has_root or folder == self._root

    def _write_all(self, fd: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._disk.write(fd, rest) :]

    def _abandon(self) -> None:
        segment = self._open
        if segment is None:
            return
        # if even this fails the torn tail stays, and readers pass over it
        with contextlib.suppress(OSError):
            os.ftruncate(segment.fd, segment.size)
            if segment.size == 0:
                segment.path.unlink()
        self.close()


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
