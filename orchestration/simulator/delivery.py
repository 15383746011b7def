"""One HTTP request that carries an event. Sending belongs to `sender.py`, signing to the sources of the receiver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from receiver.signatures import BadSignature
from receiver.sources import SOURCES
from receiver.sources.base import CannotSign

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json", "User-Agent": "aftercall-traffic"}


@dataclass(frozen=True)
class Delivery:
    """`body` goes to `/webhooks/<source>` at `at` (UTC, aware)."""

    source: str
    body: bytes
    at: datetime
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)


def signed_headers(delivery: Delivery, secret: str | None, now: datetime) -> dict[str, str]:
    """The delivery's headers, signed as its source signs at `now` (UTC); unsigned without a secret.

    A source for which `why_unsigned` has a reason stays unsigned. Raises BadSignature when the secret is not of the
    source's form.
    """
    headers = dict(delivery.headers)
    if not secret or why_unsigned(delivery.source) is not None:
        return headers
    return headers | SOURCES[delivery.source].sign(delivery.body, secret, now.timestamp())


def why_unsigned(source: str) -> str | None:
    """The reason why nobody here can sign a source's recorded deliveries; None if a secret is enough."""
    if source not in SOURCES:
        return "the receiver knows no such source"
    if SOURCES[source].takes_address:
        return "the signature holds the address that the platform called, and no recording has it"
    try:
        SOURCES[source].sign(b"{}", "", 0)
    except CannotSign as reason:
        return str(reason)
    except BadSignature:
        return None
    return None
