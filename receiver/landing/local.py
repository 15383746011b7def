"""The landing store on a local disk: NDJSON segments, `YYYY-MM-DD/HH/<utc stamp>-<8 hex>.ndjson`.

Joins a reader (paths and bytes, no state) to a writer (`receiver.landing.segment`) behind a lock, and to the
archive (`receiver.landing.archive`), which puts `.zst` behind the name of a segment. What lines
mean does not belong here.
"""

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from receiver.landing import archive
from receiver.landing.segment import DISK, Disk, SegmentWriter
from receiver.landing.store import READ_BYTES, Chunk, LandingUnavailable, Piece, Segment, UnknownLanding

SCHEME = "file"
FORM = f"{SCHEME}:///path/to/folder"
SEGMENT_BYTES = 64 << 20
ROOM_SECONDS = 0.5
"""How long the disk is trusted to have room after a look at it. What a disk takes in that time must fit the reserve."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HOUR = re.compile(r"\d{2}")
_SEGMENT = r"\d{8}T\d{12}Z-[0-9a-f]{8}\.ndjson"
_FILE = re.compile(f"{_SEGMENT}({re.escape(archive.SUFFIX)})?")
_PATH = re.compile(f"{_DAY.pattern}/{_HOUR.pattern}/{_SEGMENT}")


class LocalLandingStore:
    """Segments below one directory. Any number of threads and processes may append; any number may read."""

    def __init__(
        self, root: Path, segment_bytes: int = SEGMENT_BYTES, min_free_bytes: int = 0, disk: Disk = DISK
    ) -> None:
        self._root = root.absolute()
        self._min_free_bytes = min_free_bytes
        self._writer = SegmentWriter(self._root, segment_bytes, disk)
        self._writing = threading.Lock()
        self._has_room_until = 0.0

    def append(self, lines: Sequence[bytes]) -> None:
        """See `LandingStore.append`: one write and one sync."""
        for line in lines:
            if line.find(b"\n") != len(line) - 1 or not line:
                raise ValueError("a landing line ends in its only newline")
        with self._writing:
            if time.monotonic() > self._has_room_until:
                self._keep_reserve()
                self._has_room_until = time.monotonic() + ROOM_SECONDS
            self._writer.write(lines)

    def segments(self, after: str = "", archived_after: str = "") -> Iterator[Segment]:
        """See `LandingStore.segments`. A segment that appears during the listing may or may not be in it."""
        first_day, first_hour = after[:10], after[:13]
        for day in _names(self._root, _DAY):
            if day < first_day:
                continue
            for hour in _names(self._root / day, _HOUR):
                prefix = f"{day}/{hour}"
                if prefix < first_hour:
                    continue
                # twice: one look may miss both forms of a segment that is archived during it
                names = {*_names(self._root / prefix, _FILE), *_names(self._root / prefix, _FILE)}
                for name in sorted({name.removesuffix(archive.SUFFIX) for name in names}):
                    path = f"{prefix}/{name}"
                    if path > after and (name in names or path > archived_after):
                        segment = self._look(path)
                        if segment is not None:
                            yield segment

    def settled_before(self, now: datetime) -> datetime:
        """See `LandingStore.settled_before`: a folder shows a segment as soon as it is begun."""
        return datetime.max.replace(tzinfo=UTC)

    def read(self, path: str, offset: int = 0, max_bytes: int = READ_BYTES) -> Chunk:
        """See `LandingStore.read`."""
        if offset < 0 or max_bytes < 1:
            raise ValueError("offset must not be negative and max_bytes at least 1")
        segment = self._file(path)
        try:
            with segment.open("rb", buffering=0) as file:
                return _whole_lines(file, offset, max_bytes)
        except FileNotFoundError:
            stored = archive.archive_of(segment)
        try:
            with archive.open_archive(stored) as file:
                return _whole_lines(file, offset, max_bytes)
        except archive.BROKEN as error:
            raise archive.damaged(stored, error) from error

    def read_all(self, parts: Iterable[tuple[Segment, int]], max_bytes: int = READ_BYTES) -> Iterator[Piece]:
        """See `LandingStore.read_all`. Nothing is fetched ahead: the system does that for files."""
        for segment, offset in parts:
            while offset < segment.size:
                try:
                    chunk = self.read(segment.path, offset, min(max_bytes, segment.size - offset))
                except FileNotFoundError:
                    break
                if not chunk.data:
                    break
                yield Piece(segment, offset, chunk.data)
                offset = chunk.next_offset

    def compact(self, segment: Segment) -> Segment:
        """See `LandingStore.compact`: compressed in its place."""
        archive.compress(self._file(segment.path), segment.size)
        archived = self._look(segment.path)
        if archived is None:
            raise FileNotFoundError(f"{segment.path} was removed as soon as it was archived")
        return archived

    def remove(self, path: str) -> None:
        """See `LandingStore.remove`; folders that it leaves empty go too."""
        segment = self._file(path)
        # earlier versions of the board kept phone numbers there
        for digest in segment.parent.glob(f"{segment.name}.digest*"):
            digest.unlink(missing_ok=True)
        stored = archive.archive_of(segment)
        try:
            stored.unlink()
        except FileNotFoundError:
            return
        archive.sync_folder(stored.parent)
        with contextlib.suppress(OSError):  # other segments are in it
            stored.parent.rmdir()
            stored.parent.parent.rmdir()

    def check(self) -> None:
        """See `LandingStore.check`: writes and syncs a small hidden file, and compares the free space."""
        self._keep_reserve()
        self._writer.probe()

    def free_bytes(self) -> int:
        """Bytes that can still be written, the reserve included. Raises OSError."""
        folder = self._root
        while not folder.exists():  # nothing is created before the first append
            folder = folder.parent
        status = os.statvfs(folder)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """See `LandingStore.close`."""
        with self._writing:
            self._writer.close()

    def _keep_reserve(self) -> None:
        """Leave those who read and clear the disk room to work. Raises LandingUnavailable."""
        try:
            free = self.free_bytes()
        except OSError as error:
            raise LandingUnavailable(f"cannot look at the disk: {error.strerror}") from error
        if free < self._min_free_bytes:
            raise LandingUnavailable(
                f"{free} bytes free on the landing disk, {self._min_free_bytes} are kept free"
                " (AFTERCALL_LANDING_MIN_FREE_BYTES)"
            )

    def _file(self, path: str) -> Path:
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not the path of a landing segment")
        return self._root / path

    def _look(self, path: str) -> Segment | None:
        """A segment as it is now; None if it is gone, as an empty one is whose first write failed."""
        segment = self._root / path
        with contextlib.suppress(FileNotFoundError):
            status = segment.stat()
            return Segment(path, status.st_size, _modified(status), status.st_size, is_archived=False)
        with contextlib.suppress(FileNotFoundError):
            stored = archive.archive_of(segment)
            status = stored.stat()
            size = archive.size_of(stored, status)
            return Segment(path, size, _modified(status), status.st_size, is_archived=True)
        return None


def path_of(url: str) -> Path:
    """The folder that a URL names. Raises UnknownLanding where it names none."""
    parts = urlsplit(url)
    if parts.netloc or not parts.path.startswith("/"):
        raise UnknownLanding(
            f"AFTERCALL_LANDING_URL names no folder by its absolute path; write {FORM}, with three slashes"
        )
    return Path(url2pathname(parts.path))


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _whole_lines(file: BinaryIO, offset: int, max_bytes: int) -> Chunk:
    file.seek(offset)
    data = file.read(max_bytes) or b""
    end = data.rfind(b"\n") + 1
    parts = [data]
    # a line longer than max_bytes: go on to its newline, or to the end of the file if it is torn
    while data and not end:
        data = file.read(max_bytes) or b""
        end = data.find(b"\n") + 1
        parts.append(data[:end] if end else data)
    if not end:
        return Chunk(b"", offset)
    whole = b"".join(parts) if len(parts) > 1 else parts[0][:end]
    return Chunk(whole, offset + len(whole))


def _names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """Names in a folder that match, sorted; none when there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
