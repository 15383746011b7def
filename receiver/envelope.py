"""The envelope: the few facts that every source can fill, and the landing line that carries them.

How a platform says these facts belongs to `receiver.sources`; all other meaning belongs to the dbt project.
"""

import hashlib
import re
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
