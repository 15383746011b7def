"""ElevenLabs Agents: `{type, event_timestamp, data}`, one event per call, which is its end and its analysis.

Sources of the rules: the vendor's package `elevenlabs` (`elevenlabs/webhooks_custom.py` for the signature,
`elevenlabs/types/get_conversation_response_model.py` for `data`) and
elevenlabs.io/docs/eleven-agents/workflows/post-call-webhooks.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from receiver.envelope import Facts
from receiver.identity import Identity
from receiver.signatures import BadSignature, Reason, hmac_sha256_hex, verify_hmac_sha256_hex
from receiver.sources.base import (
    ANALYTICS_COMPLETED,
    CALL_END,
    CallLength,
    Setup,
    Source,
    direction,
    identifier,
    label,
    mapping,
    moment,
    moment_of,
    parts,
    text,
)

_TRANSCRIPTION = "post_call_transcription"
_TYPES = {_TRANSCRIPTION: ANALYTICS_COMPLETED, "call_initiation_failure": CALL_END}
_OF_CONVERSATION = (
    "status",
    "failure_reason",
    "transcript",
    "analysis",
    "conversation_initiation_client_data",
)
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v0=([0-9a-f]{64})", re.ASCII)
TOLERANCE_SECONDS = 30 * 60
"""The vendor's verifier allows this age, and any time in the future; this one limits both."""


class ElevenLabs(Source):
    """A failed dial is an event of its own, with a conversation id like any call."""

    name = "elevenlabs"

    signature_headers: tuple[str, ...] = ("ElevenLabs-Signature",)

    analytics_end_the_call = True

    operator_objects = frozenset(
        {"dynamic_variables", "evaluation_criteria_results", "data_collection_results", "body"}
    )

    setup = Setup(
        platform="ElevenLabs Agents",
        steps=(
            "Settings > Webhooks: create one with the URL {url} and HMAC authentication.",
            "Agents settings: choose it as the post-call webhook with the events transcript and call initiation "
            "failure; leave audio out, which is larger than a body may be.",
            "Turn its retries on.",
        ),
        credential="the secret that ElevenLabs shows once when the webhook is created (wsec_...)",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """`t={Unix seconds},v0={hex}`: HMAC-SHA256 of the time, a full stop, and the body."""
        claimed = headers.get("elevenlabs-signature")
        if claimed is None:
            raise BadSignature(Reason.MISSING)
        signature = _SIGNATURE.fullmatch(claimed.replace(" ", ""))
        if signature is None:
            raise BadSignature(Reason.MALFORMED)
        verify_hmac_sha256_hex(signature[2], f"{signature[1]}.".encode() + body, secrets)
        if abs(now - int(signature[1])) > TOLERANCE_SECONDS:
            raise BadSignature(Reason.EXPIRED)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """As the vendor's verifier expects it."""
        timestamp = str(int(now))
        digest = hmac_sha256_hex(secret, f"{timestamp}.".encode() + body)
        return {"ElevenLabs-Signature": f"t={timestamp},v0={digest}"}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """`external_number` is the customer's in both directions. Without a phone call the direction is web.

        A conversation without the envelope, as the API returns it, counts as the event after a call.
        """
        fields = mapping(body)
        data = _conversation(fields)
        metadata = mapping(data.get("metadata"))
        phone_call = mapping(metadata.get("phone_call"))
        dial = mapping(metadata.get("body"))
        call_id = identifier(data.get("conversation_id"))
        kind = text(fields.get("type")) or _kind_of_bare(data)
        sent_at = fields.get("event_timestamp")
        return Facts(
            event_type=_TYPES.get(kind, kind) if kind else None,
            call_id=call_id,
            occurred_at=moment_of(sent_at) or moment(sent_at) or _end(metadata),
            customer_phone=text(phone_call.get("external_number"), dial.get("To"), dial.get("to_number")),
            direction=direction(
                phone_call.get("direction"), dial.get("Direction"), _otherwise(kind, metadata)
            ),
            identity=_identity(kind, call_id, data),
        )

    def agent_of(self, body: Any) -> str | None:
        """In the conversation."""
        return label(_conversation(mapping(body)).get("agent_id"))

    def length_of(self, body: Any) -> CallLength:
        """Seconds, and the start in Unix seconds."""
        metadata = mapping(_conversation(mapping(body)).get("metadata"))
        return CallLength(metadata.get("call_duration_secs"), metadata.get("start_time_unix_secs"))


def _conversation(fields: dict[str, Any]) -> dict[str, Any]:
    """The conversation of a body, with its envelope or without."""
    return mapping(fields.get("data")) or fields


def _kind_of_bare(data: dict[str, Any]) -> str | None:
    """The event type of a conversation without one; None unless it is a conversation that has ended."""
    if text(data.get("conversation_id")) is None or not isinstance(data.get("metadata"), dict):
        return None
    has_ended = text(data.get("status")) in (None, "done", "failed")
    return _TRANSCRIPTION if has_ended and {"transcript", "analysis"} & data.keys() else None


def _identity(kind: str | None, call_id: str | None, data: dict[str, Any]) -> Identity | None:
    """One event per conversation, analysis and transcript. The time may be that of the try, so it does not count."""
    if call_id is None or kind not in (_TRANSCRIPTION, *_TYPES, "post_call_audio"):
        return None
    return (kind, call_id, parts(data, *_OF_CONVERSATION))


def _end(metadata: dict[str, Any]) -> datetime | None:
    """The start plus the duration; None if either is missing."""
    began_at, seconds = (metadata.get(name) for name in ("start_time_unix_secs", "call_duration_secs"))
    if isinstance(began_at, int | float) and isinstance(seconds, int | float) and seconds >= 0:
        return moment_of(began_at + seconds)
    return None


def _otherwise(kind: str | None, metadata: dict[str, Any]) -> str | None:
    """The direction if no field has it: outbound for a failed dial, web for a talk that was no call or message."""
    if "body" in metadata:
        return "outbound"
    elsewhere = any(metadata.get(way) for way in ("phone_call", "whatsapp", "sms"))
    return "web" if kind == _TRANSCRIPTION and not elsewhere else None
