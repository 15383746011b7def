"""Retell: `{event, call}`, where `call` is what its API answers for the call.

Sources of the rules: the vendor's package `retell-sdk` (`retell/lib/webhook_auth.py` for the signature,
`retell/types/phone_call_response.py` and `web_call_response.py` for the call) and
docs.retellai.com/features/webhook-overview.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from receiver.envelope import Facts
from receiver.identity import Identity
from receiver.signatures import (
    TOLERANCE_SECONDS,
    BadSignature,
    Reason,
    hmac_sha256_hex,
    verify_hmac_sha256_hex,
)
from receiver.sources import base
from receiver.sources.base import (
    ANALYTICS_COMPLETED,
    CALL_END,
    CALL_START,
    CallLength,
    Setup,
    Source,
    direction,
    identifier,
    label,
    mapping,
    moment_of_milliseconds,
    parts,
    text,
)

_TYPES = {"call_started": CALL_START, "call_ended": CALL_END, "call_analyzed": ANALYTICS_COMPLETED}
_OF_ANALYSIS = (
    "call_analysis",
    "call_status",
    "disconnection_reason",
    "transcript",
    "collected_dynamic_variables",
)
_SIGNATURE = re.compile(r"v=([0-9]{1,15}),d=([0-9a-f]{64})", re.ASCII)


class Retell(Source):
    """A call that did not connect has an end and an analysis, but no start."""

    name = "retell"

    signature_headers: tuple[str, ...] = ("X-Retell-Signature",)

    operator_objects = frozenset(
        {"metadata", "retell_llm_dynamic_variables", "collected_dynamic_variables", "custom_analysis_data"}
    )

    setup = Setup(
        platform="Retell",
        steps=(
            "Webhooks (or one agent's webhook settings): enter {url} as the webhook URL.",
            "Keep the events call_started, call_ended and call_analyzed selected.",
        ),
        credential="the API key that bears the webhook badge, under API Keys",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """`v={Unix milliseconds},d={hex}`: HMAC-SHA256 of the body followed by those milliseconds.

        Five minutes either way, as in the vendor's verifier.
        """
        claimed = headers.get("x-retell-signature")
        if claimed is None:
            raise BadSignature(Reason.MISSING)
        signature = _SIGNATURE.fullmatch(claimed.strip())
        if signature is None:
            raise BadSignature(Reason.MALFORMED)
        verify_hmac_sha256_hex(signature[2], body + signature[1].encode(), secrets)
        if abs(now - int(signature[1]) / 1000) > TOLERANCE_SECONDS:
            raise BadSignature(Reason.EXPIRED)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """The secret is the API key."""
        timestamp = str(int(now * 1000))
        digest = hmac_sha256_hex(secret, body + timestamp.encode())
        return {"X-Retell-Signature": f"v={timestamp},d={digest}"}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """A web call has neither direction nor numbers. The analysis has no time but the end of the call."""
        fields = mapping(body)
        call = mapping(fields.get("call"))
        event = text(fields.get("event"))
        kind = _TYPES.get(event, event) if event else None
        call_id = identifier(call.get("call_id"))
        way = direction(call.get("direction"), call.get("call_type"))
        numbers = {"inbound": call.get("from_number"), "outbound": call.get("to_number")}
        return Facts(
            event_type=kind,
            call_id=call_id,
            occurred_at=moment_of_milliseconds(
                call.get("start_timestamp" if kind == CALL_START else "end_timestamp")
            ),
            customer_phone=text(numbers.get(way or "")),
            direction=way,
            identity=_identity(kind, call_id, call),
        )

    def agent_of(self, body: Any) -> str | None:
        """In the call."""
        return label(mapping(mapping(body).get("call")).get("agent_id"))

    def length_of(self, body: Any) -> CallLength:
        """All three in milliseconds."""
        call = mapping(mapping(body).get("call"))
        return CallLength(
            call.get("duration_ms"), call.get("start_timestamp"), call.get("end_timestamp"), 1000
        )


def _identity(kind: str | None, call_id: str | None, call: dict[str, Any]) -> Identity | None:
    """A call has one start and one end. A new analysis is another event if its content differs.

    Addresses of recordings do not count: they may be signed anew for each try.
    """
    if call_id is None:
        return None
    match kind:
        case base.CALL_START:
            return (kind, call_id, call.get("start_timestamp"))
        case base.CALL_END:
            return (kind, call_id, call.get("end_timestamp"))
        case base.ANALYTICS_COMPLETED:
            return (kind, call_id, call.get("end_timestamp"), parts(call, *_OF_ANALYSIS))
        case _:
            return None
