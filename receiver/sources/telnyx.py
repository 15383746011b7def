"""Telnyx Call Control and AI Assistants: `{data: {event_type, id, occurred_at, payload}}`.

A call is a session, `call_session_id`; its legs (a transfer's target is one) are events of the same call. Sources of
the rules: the types and `lib/webhook_verification.py` of the vendor's package `telnyx`.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from receiver.envelope import Facts
from receiver.signatures import TOLERANCE_SECONDS, BadSignature, Reason
from receiver.sources.base import (
    ANALYTICS_COMPLETED,
    CALL_END,
    CALL_START,
    CannotSign,
    Setup,
    Source,
    identifier,
    label,
    mapping,
    moment,
    text,
)

_TYPES = {
    "call.initiated": CALL_START,
    "call.answered": CALL_START,
    "call.hangup": CALL_END,
    "call.conversation.ended": CALL_END,
    "call.conversation_insights.generated": ANALYTICS_COMPLETED,
    "call.analyzed": ANALYTICS_COMPLETED,
}
_WAYS = {"incoming": "inbound", "outgoing": "outbound"}
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE_BYTES = 64
_ONE_MOMENT = 10_000_000
"""In UUID time, 100 ns each: a second."""


class Telnyx(Source):
    """Events of a later leg, such as a transfer's target, keep their own names: they start and end no call."""

    name = "telnyx"

    signature_headers: tuple[str, ...] = ("telnyx-signature-ed25519", "telnyx-timestamp")

    reports_each_leg = True

    operator_objects = frozenset({"result"})

    setup = Setup(
        platform="Telnyx",
        steps=(
            "In Mission Control open Voice > Programmable Voice (or the AI assistant's telephony settings) and enter "
            "{url} as the webhook URL, API version 2.",
            "For AI assistants turn on the call.conversation.ended and call.conversation_insights.generated events.",
        ),
        credential="the account's public key: Mission Control > Account Settings > Keys & Credentials > Public Key",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """Ed25519 in base64 over the timestamp in Unix seconds, `|`, and the body; a secret is a public key."""
        claimed, timestamp = headers.get("telnyx-signature-ed25519"), headers.get("telnyx-timestamp")
        if not claimed or not timestamp:
            raise BadSignature(Reason.MISSING)
        signature = _decoded(claimed.strip())
        if len(signature) != _SIGNATURE_BYTES or not _UNIX_SECONDS.fullmatch(timestamp):
            raise BadSignature(Reason.MALFORMED)
        keys = [key for secret in secrets if (key := _public_key(secret))]
        if not keys:
            raise BadSignature(Reason.UNUSABLE_SECRET)
        signed = timestamp.encode() + b"|" + body
        if not any(_signed_by(key, signature, signed) for key in keys):
            raise BadSignature(Reason.WRONG)
        if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
            raise BadSignature(Reason.EXPIRED)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """Always raises CannotSign."""
        raise CannotSign("Telnyx signs with a private key that only Telnyx has")

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """Only `call.initiated` has the direction, which decides whose number is the customer's.

        `transcript.completed`, of a meeting, has its facts beside `data`.
        """
        fields = mapping(body)
        data = mapping(fields.get("data"))
        payload = mapping(data.get("payload"))
        kind = text(data.get("event_type"), fields.get("event"))
        is_first = _is_first_leg(text(payload.get("call_session_id")), text(payload.get("call_leg_id")))
        way = _WAYS.get(text(payload.get("direction")) or "") if is_first else None
        return Facts(
            event_id=identifier(data.get("id"), fields.get("id")),
            event_type=_TYPES.get(kind, kind) if kind and is_first else kind,
            call_id=identifier(payload.get("call_session_id"), payload.get("call_leg_id")),
            occurred_at=moment(data.get("occurred_at")) or moment(fields.get("occurred_at")),
            customer_phone=text(payload.get("from" if way == "inbound" else "to")) if way else None,
            direction=way,
        )

    def agent_of(self, body: Any) -> str | None:
        """The AI assistant, in conversation events only."""
        return label(mapping(mapping(mapping(body).get("data")).get("payload")).get("assistant_id"))


def _is_first_leg(session: str | None, leg: str | None) -> bool:
    """True if the session began with this leg: both ids were then created at the same time. No field says so.

    The form of ids is not documented (recorded bodies have UUIDs of version 1), so any other form counts as first.
    """
    try:
        ids = uuid.UUID(session or ""), uuid.UUID(leg or "")
    except ValueError:
        return True
    apart = abs(ids[0].time - ids[1].time)
    return any(each.version != 1 for each in ids) or apart < _ONE_MOMENT


def _decoded(encoded: str) -> bytes:
    """The bytes of a base64 text; empty if it is malformed."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _public_key(secret: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(_decoded(secret))
    except ValueError:
        return None


def _signed_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
