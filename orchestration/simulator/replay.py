"""Reads recorded traffic, one JSON object per line, plain or gzipped: `{"source", "sent_at", "body"}`.

A body is sent with its recorded bytes. Sending belongs to `sender.py`.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from orchestration.simulator.delivery import Delivery

GZIP_MAGIC = b"\x1f\x8b"
_BLANKS = re.compile(r"[ \t\r\n]*")


class RecordingError(ValueError):
    """A recording cannot be replayed; the message has the file, the line and the reason."""


def read_recording(path: Path) -> Iterator[Delivery]:
    """The deliveries of a recording in its order, without blank lines.

    A `sent_at` without an offset is UTC. Raises RecordingError at the first line that is not a recorded
    delivery, OSError when the file cannot be read.
    """
    with _open(path) as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _delivery(line, f"{path}, line {number}")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise RecordingError(f"{path}: the gzip file is damaged or cut off ({error})") from error


def count_recording(path: Path) -> Counter[str]:
    """The number of deliveries per source. Checks every line, so that nothing of a broken file is posted.

    Raises what `read_recording` raises.
    """
    return Counter(delivery.source for delivery in read_recording(path))


def replay(path: Path, *, reverse: bool = False) -> Iterator[Delivery]:
    """The deliveries as recorded, or last first with the same intervals (then in memory)."""
    if not reverse:
        yield from read_recording(path)
        return
    recorded = list(read_recording(path))
    if recorded:
        last = recorded[-1].at
        for delivery in reversed(recorded):
            yield Delivery(delivery.source, delivery.body, last + (last - delivery.at), delivery.headers)


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as probe:
        zipped = probe.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _delivery(line: bytes, where: str) -> Delivery:
    try:
        fields, spans = _members(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{where}: not a JSON object ({_reason(error)})") from error
    missing = [name for name in ("source", "sent_at", "body") if name not in fields]
    if missing:
        raise RecordingError(f"{where}: without {', '.join(missing)}")
    source = fields["source"]
    if not isinstance(source, str) or not source or "/" in source:
        raise RecordingError(f"{where}: source is not the name of a source: {spans['source']}")
    try:
        at = datetime.fromisoformat(fields["sent_at"])
    except (ValueError, TypeError) as error:
        raise RecordingError(f"{where}: sent_at is not an ISO 8601 time: {fields['sent_at']!r}") from error
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return Delivery(source, spans["body"].encode("utf-8"), at.astimezone(UTC))


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _members(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a JSON object, and each value's text as recorded: encoding it again would change it."""
    # integers are not needed, and Python refuses one of thousands of digits
    decoder = JSONDecoder(parse_int=len)
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    at = _expect(text, _blank(text, 0), "{")
    while True:
        name, at = decoder.raw_decode(text, at)
        if not isinstance(name, str):
            raise JSONDecodeError("Expecting a name in quotes", text, at)
        begin = _expect(text, _blank(text, at), ":")
        values[name], at = decoder.raw_decode(text, begin)
        texts[name] = text[begin:at]
        at = _blank(text, at)
        if text[at : at + 1] == "}":
            break
        at = _expect(text, at, ",")
    if _blank(text, at + 1) != len(text):
        raise JSONDecodeError("Extra data", text, at + 1)
    return values, texts


def _blank(text: str, at: int) -> int:
    """The position after the blanks at `at`."""
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, mark: str) -> int:
    """The position of the token after `mark`."""
    if text[at : at + 1] != mark:
        raise JSONDecodeError(f"Expecting {mark!r}", text, at)
    return _blank(text, at + 1)
