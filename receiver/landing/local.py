"""The landing store on a local disk: NDJSON segments, `YYYY-MM-DD/HH/<utc stamp>-<8 hex>.ndjson`.

Joins a reader (paths and bytes, no state) to a writer (`receiver.landing.segment`) behind a group commit
(`receiver.landing.commit`). What lines mean does not belong here.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from receiver.landing.commit import GroupCommit
from receiver.landing.segment import DISK, Disk, SegmentWriter
from receiver.landing.store import READ_BYTES, Chunk, LandingUnavailable, Segment

SEGMENT_BYTES = 64 << 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HOUR = re.compile(r"\d{2}")
_FILE = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{8}\.ndjson")
_PATH = re.compile(f"{_DAY.pattern}/{_HOUR.pattern}/{_FILE.pattern}")


class LocalLandingStore:
    """Segments below one directory. Any number of threads and processes may append; any number may read."""

    def __init__(
        self, root: Path, segment_bytes: int = SEGMENT_BYTES, min_free_bytes: int = 0, disk: Disk = DISK
    ) -> None:
        self._root = root.absolute()
        self._min_free_bytes = min_free_bytes
        self._writer = SegmentWriter(self._root, segment_bytes, disk)
        self._commit = GroupCommit(self._writer.write)

    def append(self, line: bytes) -> None:
        """See `LandingStore.append`."""
        if line.find(b"\n") != len(line) - 1 or not line:
            raise ValueError("a landing line ends in its only newline")
        self._commit.submit(line)

    def segments(self, after: str = "") -> Iterator[Segment]:
        """See `LandingStore.segments`. A segment that appears during the listing may or may not be in it."""
        first_day, first_hour = after[:10], after[:13]
        for day in _names(self._root, _DAY):
            if day < first_day:
                continue
            for hour in _names(self._root / day, _HOUR):
                prefix = f"{day}/{hour}"
                if prefix < first_hour:
                    continue
                for name in _names(self._root / prefix, _FILE):
                    path = f"{prefix}/{name}"
                    if path > after:
                        try:
                            size = (self._root / path).stat().st_size
                        except (
                            FileNotFoundError
                        ):  # an empty segment whose first write failed is removed again
                            continue
                        yield Segment(path, size)

    def read(self, path: str, offset: int = 0, max_bytes: int = READ_BYTES) -> Chunk:
        """See `LandingStore.read`."""
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not the path of a landing segment")
        if offset < 0 or max_bytes < 1:
            raise ValueError("offset must not be negative and max_bytes at least 1")
        with (self._root / path).open("rb", buffering=0) as file:
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

    def check(self) -> None:
        """See `LandingStore.check`: writes and syncs a small hidden file, and compares the free space."""
        self._writer.probe()
        status = os.statvfs(self._root)
        free = status.f_bavail * status.f_frsize
        if free < self._min_free_bytes:
            raise LandingUnavailable(f"{free} bytes free on the landing disk, {self._min_free_bytes} wanted")

    def close(self) -> None:
        """See `LandingStore.close`."""
        self._commit.exclusively(self._writer.close)


def _names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """Names in a folder that match, sorted; none when there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
