"""The envelope of a landing line, read without parsing its payload.

The receiver writes the envelope's fields first and in one order (`docs/receiver.md`), so one pattern finds them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from receiver.sources import SOURCES

CALL_START, CALL_END, ANALYTICS = "call.start", "call.end", "analytics.completed"
# unrolled: a choice for every character would be six times as slow
_TEXT = rb'(null|"[^"\\]*(?:\\.[^"\\]*)*")'
_LINE = re.compile(
    rb'\{"event_id":' + _TEXT + rb',"source":("[^"\\]*"),"event_type":' + _TEXT + rb',"call_id":' + _TEXT
    + rb',"occurred_at":' + _TEXT + rb',"received_at":' + _TEXT + rb',"customer_phone":' + _TEXT
    + rb',"direction":' + _TEXT + rb',"payload":'
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Envelope:
    """The facts of a landing line, and the line itself; None is unknown, times are aware UTC."""

    event_id: str | None
    source: str
    event_type: str | None
    call_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    customer_phone: str | None
    direction: str | None
    payload: bytes


def heads(data: bytes) -> Iterator[tuple[tuple[bytes, ...], int, int]]:
    """The lines that the receiver wrote: the eight fields of each as JSON text, in order, and where its payload is.

    Every field can be read by `text`; a line of which that is not so is none of the receiver's.
    """
    at, size, match, find = 0, len(data), _LINE.match, data.find
    while at < size:
        found = match(data, at)
        head_end = found.end() if found else at
        end = find(b"\n", head_end)
        if end < 0:
            end = size
        if found and _is_sound(found[0]):
            yield found.groups(), head_end, end - 1
        at = end + 1


def _is_sound(head: bytes) -> bool:
    """Whether the fields of a line's head are UTF-8 and their escapes those of JSON."""
    if head.isascii() and b"\\" not in head:
        return True
    try:
        orjson.loads(head + b"null}")
    except orjson.JSONDecodeError:
        return False
    return True


def envelope(line: bytes) -> Envelope | None:
    """A line's envelope; None for a line that the receiver did not write."""
    found = _LINE.match(line)
    if found is None or not _is_sound(found[0]):
        return None
    event_id, source, kind, call_id, occurred, received, phone, way = map(text, found.groups())
    received_at = moment(received)
    if received_at is None:
        return None
    payload = line[found.end() :].rstrip()[:-1]
    return Envelope(event_id, source or "", kind, call_id, moment(occurred), received_at, phone, way, payload)


def text(raw: bytes) -> str | None:
    """A field's value."""
    if raw == b"null":
        return None
    return raw[1:-1].decode() if b"\\" not in raw else str(orjson.loads(raw))


def moment(value: str | None) -> datetime | None:
    """A time of the envelope; None if it is unknown or none."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if value else None
    except ValueError:
        return None


def agent_of(source: str, payload: bytes) -> str | None:
    """The agent that a body names; None if it names none."""
    known = SOURCES.get(source)
    try:
        return known.agent_of(orjson.loads(payload)) if known else None
    except orjson.JSONDecodeError:
        return None
