"""One HTTP request that carries an event, and how a platform signs it.

No network here; `post.py` sends deliveries and `replay.py` and `simulate.py` make them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from standardwebhooks import Webhook

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
    """The delivery's headers with those by which the receiver knows the sender. `now` is UTC.

    Every source signs by its own scheme, unless `why_unsigned` tells why it cannot. A Standard Webhook's id is made of
    the body, so that a repeated delivery keeps it. Raises ValueError or BadSignature when the secret is not of the
    source's form.
    """
    headers = dict(delivery.headers)
    if delivery.source == "generic":
        return headers | _standard_webhook(delivery, secret, now)
    if not secret or why_unsigned(delivery.source) is not None:
        return headers
    if delivery.source == "atoms":
        return headers | _atoms_signature(delivery.body, secret)
    return headers | SOURCES[delivery.source].sign(delivery.body, secret, now.timestamp())


def why_unsigned(source: str) -> str | None:
    """Why nobody here can sign a source's recorded deliveries, whatever the secret; None if they can be signed."""
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


def _standard_webhook(delivery: Delivery, secret: str | None, now: datetime) -> dict[str, str]:
    identity = delivery.headers.get("webhook-id", "msg_" + hashlib.sha256(delivery.body).hexdigest()[:32])
    headers = {"webhook-id": identity, "webhook-timestamp": str(int(now.timestamp()))}
    if secret:
        text = delivery.body.decode("utf-8", "surrogateescape")
        headers["webhook-signature"] = Webhook(secret).sign(identity, now, text)
    return headers


def _atoms_signature(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if is_wire(body):
        return {"X-Signature": digest}
    return {"X-Atoms-Signature": f"sha256={digest}"}


def is_wire(body: bytes) -> bool:
    """Whether the body is in the wire dialect: it keeps everything below `metadata`."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(parsed, dict) and isinstance(parsed.get("metadata"), dict)
