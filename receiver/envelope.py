"""The envelope: the few facts that every source can fill, and the landing line that carries them, written and read.

How a platform says these facts belongs to `receiver.sources`; all other meaning belongs to the dbt project.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from receiver.identity import Identity, of_body, of_parts

MAX_TEXT = 255
LATEST = timedelta(days=1)
"""How far after its arrival an event may say that it happened: clocks are off, and zones are mistaken."""
# control characters, and surrogates, which UTF-8 cannot carry
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# a raw line break cannot stand inside a JSON string, so these are all between tokens
_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
# unrolled: an alternative for each character would be six times as slow
_JSON_TEXT = rb'(null|"[^"\\]*(?:\\.[^"\\]*)*")'
_HEAD = re.compile(
    rb'\{"event_id":' + _JSON_TEXT + rb',"source":("[^"\\]*"),"event_type":' + _JSON_TEXT
    + rb',"call_id":' + _JSON_TEXT + rb',"occurred_at":' + _JSON_TEXT + rb',"received_at":' + _JSON_TEXT
    + rb',"customer_phone":' + _JSON_TEXT + rb',"direction":' + _JSON_TEXT + rb',"payload":'
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source found in a body; None is unknown. Texts are as sent, `occurred_at` is aware."""

    event_id: str | None = None
    event_type: str | None = None
    call_id: str | None = None
    occurred_at: datetime | None = None
    customer_phone: str | None = None
    direction: str | None = None
    identity: Identity | None = field(default=None, compare=False)
    """What names the event where the platform gives it no id; None: the whole body does."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields of a landing line before its payload, in their order. Times are ISO 8601 UTC."""

    event_id: str
    source: str
    event_type: str | None
    call_id: str | None
    occurred_at: str | None
    received_at: str
    customer_phone: str | None
    direction: str | None


@dataclass(frozen=True, slots=True)
class LandedEvent:
    """A landing line that was read; None is unknown, times are aware UTC, `payload` is the body's bytes."""

    event_id: str | None
    source: str
    event_type: str | None
    call_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    customer_phone: str | None
    direction: str | None
    payload: bytes


def seal(source: str, facts: Facts, body: bytes, received_at: datetime, value: Any = None) -> Envelope:
    """The envelope of a delivery; `value` is the parsed body.

    Its id is the platform's own, else the digest of its identity, else that of the body. A time more than a day after
    `received_at` is not believed.
    """
    return Envelope(
        event_id=safe_id(facts.event_id) or _event_id(source, facts.identity, body, value),
        source=source,
        event_type=safe_text(facts.event_type),
        call_id=safe_id(facts.call_id),
        occurred_at=utc(believed(facts.occurred_at, received_at)),
        received_at=utc(received_at) or "",
        customer_phone=safe_text(facts.customer_phone),
        direction=facts.direction,
    )


def line(envelope: Envelope, body: bytes) -> bytes:
    """One landing line over a body that is JSON.

    The body's bytes are kept; only line breaks between tokens become spaces.
    """
    return b"".join((orjson.dumps(envelope)[:-1], b',"payload":', body.translate(_LINE_BREAKS), b"}\n"))


def body_id(source: str, body: bytes) -> str:
    """`sha256:` and the hex digest over the source's name, a newline, and the body (or what stands for it)."""
    return "sha256:" + hashlib.sha256(source.encode() + b"\n" + body).hexdigest()


def _event_id(source: str, identity: Identity | None, body: bytes, value: Any) -> str:
    return body_id(source, of_body(value, body) if identity is None else of_parts(identity))


def believed(moment: datetime | None, received_at: datetime) -> datetime | None:
    """The moment, or None if it is more than a day after `received_at`: a call cannot have been then."""
    return moment if moment is None or moment - received_at <= LATEST else None


def safe_id(value: str | None) -> str | None:
    """An id as sent, or `sha256:` and its digest if too long or unprintable; blank is None."""
    if value is None or not value.strip():
        return None
    if len(value) <= MAX_TEXT and not _UNPRINTABLE.search(value):
        return value
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def safe_text(value: str | None) -> str | None:
    """A trimmed text, or None if it is blank, too long or unprintable (the payload keeps it)."""
    value = value.strip() if value else None
    if not value or len(value) > MAX_TEXT or _UNPRINTABLE.search(value):
        return None
    return value


def utc(moment: datetime | None) -> str | None:
    """An aware moment as `2026-11-02T08:00:33.621000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_line(line: bytes) -> LandedEvent | None:
    """The event of one landing line; None for a line that `line` did not write.

    The payload stays unparsed: it may hold what a strict parser refuses (half an emoji), and it may be long.
    """
    for fields, payload_start, payload_end in scan(line):
        event_id, source, event_type, call_id, occurred, received, phone, direction = map(text_of, fields)
        received_at = moment_of(received)
        if received_at is None:
            return None
        payload = line[payload_start:payload_end]
        return LandedEvent(
            event_id, source or "", event_type, call_id, moment_of(occurred), received_at, phone, direction, payload
        )  # fmt: skip
    return None


def scan(data: bytes) -> Iterator[tuple[tuple[bytes, ...], int, int]]:
    """The fields of each line before its payload, as JSON texts in the order of `Envelope`, and where its payload is.

    Skips lines that `line` did not write. Parses nothing: the board reads a day of events at each start.
    """
    position, size, match, find = 0, len(data), _HEAD.match, data.find
    while position < size:
        head = match(data, position)
        head_end = head.end() if head else position
        line_end = find(b"\n", head_end)
        if line_end < 0:
            line_end = size
        if head and _is_readable(head[0]):
            yield head.groups(), head_end, line_end - 1
        position = line_end + 1


def text_of(field: bytes) -> str | None:
    """The value of a field that `scan` yields."""
    if field == b"null":
        return None
    return field[1:-1].decode() if b"\\" not in field else str(orjson.loads(field))


def moment_of(value: str | None) -> datetime | None:
    """A time of a landing line; None if it is unknown or not a time."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if value else None
    except ValueError:
        return None


def _is_readable(head: bytes) -> bool:
    """True if the fields are UTF-8 and their escapes are those of JSON."""
    if head.isascii() and b"\\" not in head:
        return True
    try:
        orjson.loads(head + b"null}")
    except orjson.JSONDecodeError:
        return False
    return True
