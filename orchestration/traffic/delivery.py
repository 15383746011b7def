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

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json", "User-Agent": "aftercall-traffic"}


@dataclass(frozen=True)
class Delivery:
    """`body` goes to `/webhooks/<source>` at `at` (UTC, aware)."""

    source: str
    body: bytes
    at: datetime
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)


def signed_headers(delivery: Delivery, secret: str | None, now: datetime) -> dict[str, str]:
    """The delivery's headers with those by which the receiver knows the sender.

    Atoms signs the body alone, each dialect under its own header; every other source is signed by the rules
    of Standard Webhooks, whose id is made of the body so that a repeated delivery keeps it. `now` is UTC.
    Of a comma-separated list of secrets (as in a rotation) the first one signs. Raises ValueError when a
    Standard Webhooks secret is not base64.
    """
    headers = dict(delivery.headers)
    first = secret.split(",")[0].strip() if secret else ""
    if delivery.source == "atoms":
        if first:
            headers |= _atoms_signature(delivery.body, first)
        return headers
    headers.setdefault("webhook-id", "msg_" + hashlib.sha256(delivery.body).hexdigest()[:32])
    headers["webhook-timestamp"] = str(int(now.timestamp()))
    if first:
        text = delivery.body.decode("utf-8", "surrogateescape")
        headers["webhook-signature"] = Webhook(first).sign(headers["webhook-id"], now, text)
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
