"""Bland: one body after the call, with its details and analysis; it has no event name and no id but the call's.

Sources of the rules: docs.bland.ai/api-v1/get/calls-id (the body), docs.bland.ai/tutorials/webhook-signing (the
signature) and docs.bland.ai/tutorials/post-call-webhooks.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from receiver.envelope import Facts
from receiver.identity import Identity
from receiver.signatures import hmac_sha256_hex, verify_hmac_sha256_hex
from receiver.sources.base import (
    ANALYTICS_COMPLETED,
    CallLength,
    Setup,
    Source,
    identifier,
    label,
    mapping,
    moment,
    parts,
    text,
)

_AFTER_THE_CALL = {
    "call_length",
    "corrected_duration",
    "completed",
    "queue_status",
    "concatenated_transcript",
}
_OF_CALL = (
    "status",
    "completed",
    "queue_status",
    "answered_by",
    "error_message",
    "call_length",
    "corrected_duration",
    "started_at",
    "disposition_tag",
    "summary",
    "analysis",
    "transcripts",
    "concatenated_transcript",
)
_LONGEST_SECONDS = 7 * 86400


class Bland(Source):
    """Events during the call, which an agent may send too, have a `category`, which is their type here."""

    name = "bland"

    signature_headers: tuple[str, ...] = ("X-Webhook-Signature",)

    analytics_end_the_call = True

    operator_objects = frozenset({"analysis", "metadata", "variables"})

    setup = Setup(
        platform="Bland",
        steps=(
            "Account settings > Keys: create a webhook signing secret.",
            "Inbound numbers: enter {url} as the webhook of each. Outbound: send it as `webhook` with each call.",
        ),
        credential="that webhook signing secret",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """Hex HMAC-SHA256 of the raw body. No time is signed, so `now` is not used."""
        verify_hmac_sha256_hex(headers.get("x-webhook-signature"), body, secrets)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """Of the body alone."""
        return {"X-Webhook-Signature": hmac_sha256_hex(secret, body)}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """The end is the start plus the duration: `end_at` is when the call would have been cut off."""
        fields = mapping(body)
        inbound = fields.get("inbound")
        way = ("inbound" if inbound else "outbound") if isinstance(inbound, bool) else None
        call_id = identifier(fields.get("call_id"), fields.get("c_id"))
        is_whole = bool(_AFTER_THE_CALL & fields.keys())
        return Facts(
            event_type=ANALYTICS_COMPLETED if is_whole else text(fields.get("category")),
            call_id=call_id,
            occurred_at=_end(fields),
            customer_phone=text(fields.get({"inbound": "from", "outbound": "to"}.get(way or "", ""))),
            direction=way,
            identity=_identity(call_id, fields) if is_whole else None,
        )

    def agent_of(self, body: Any) -> str | None:
        """The pathway, else the persona."""
        fields = mapping(body)
        return label(fields.get("pathway_id"), fields.get("persona_id"))

    def length_of(self, body: Any) -> CallLength:
        """`corrected_duration` is in seconds, `call_length` in minutes."""
        fields = mapping(body)
        if fields.get("corrected_duration") is not None:
            return CallLength(fields["corrected_duration"], fields.get("started_at"))
        return CallLength(fields.get("call_length"), fields.get("started_at"), units_per_second=1 / 60)


def _identity(call_id: str | None, fields: dict[str, Any]) -> Identity | None:
    """The parts about the call: a repeat may have other addresses and other variables (`now`)."""
    return None if call_id is None else (call_id, parts(fields, *_OF_CALL))


def _end(fields: dict[str, Any]) -> datetime | None:
    started_at = moment(fields.get("started_at"))
    if not {"corrected_duration", "call_length"} & fields.keys():
        return None
    try:
        seconds = float(fields.get("corrected_duration") or 0) or float(fields.get("call_length") or 0) * 60
    except (TypeError, ValueError, OverflowError):
        return None
    if started_at is None or not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_SECONDS:
        return None
    try:
        return started_at + timedelta(seconds=seconds)
    except OverflowError:
        return None
