"""Ultravox: `{event, call}`, where `call` is what its API answers for the call.

Sources of the rules: the vendor's webhook pages (docs.ultravox.ai/webhooks: available-webhooks, securing-webhooks) and
its call definition (api-reference/schema/call-definition).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from receiver.envelope import Facts, utc
from receiver.signatures import TOLERANCE_SECONDS, BadSignature, Reason, hmac_sha256_hex, match
from receiver.sources.base import (
    CALL_END,
    CALL_START,
    CallLength,
    Setup,
    Source,
    identifier,
    label,
    mapping,
    moment,
    moment_of,
    text,
)

_TYPES = {"call.started": CALL_START, "call.joined": CALL_START, "call.ended": CALL_END}
_TIMES = {"call.started": "created", "call.joined": "joined", "call.ended": "ended", "call.billed": "ended"}
_MOST_CLAIMS = 20


class Ultravox(Source):
    """A call that nobody joined also ends, with the end reason `unjoined`."""

    name = "ultravox"

    signature_headers: tuple[str, ...] = ("X-Ultravox-Webhook-Signature", "X-Ultravox-Webhook-Timestamp")

    operator_objects = frozenset({"metadata", "requestContext", "templateContext"})

    setup = Setup(
        platform="Ultravox",
        steps=(
            "Create a webhook (POST https://api.ultravox.ai/api/webhooks) with the url {url} and the events "
            "call.started, call.joined and call.ended; without an agentId it serves every agent.",
        ),
        credential="the webhook's secret, which Ultravox shows when the webhook is created",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """Hex HMAC-SHA256 of the body followed by the ISO 8601 timestamp of the other header.

        During a rotation the signature header holds one signature per key, separated by commas. The platform suggests
        an age of at most one minute; this limit is five minutes either way, as for other sources.
        """
        signatures = headers.get("x-ultravox-webhook-signature")
        timestamp = headers.get("x-ultravox-webhook-timestamp")
        if not signatures or not timestamp:
            raise BadSignature(Reason.MISSING)
        claims = [claim.strip().lower().encode("utf-8", "replace") for claim in signatures.split(",")][
            :_MOST_CLAIMS
        ]
        sent_at = moment(timestamp)
        if sent_at is None or not timestamp.isascii():
            raise BadSignature(Reason.MALFORMED)
        match([hmac_sha256_hex(secret, body + timestamp.encode()).encode() for secret in secrets], claims)
        if abs(now - sent_at.timestamp()) > TOLERANCE_SECONDS:
            raise BadSignature(Reason.EXPIRED)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """With one key."""
        timestamp = utc(moment_of(now)) or ""
        return {
            "X-Ultravox-Webhook-Signature": hmac_sha256_hex(secret, body + timestamp.encode()),
            "X-Ultravox-Webhook-Timestamp": timestamp,
        }

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """The customer is whom Ultravox called, or the caller if the agent's context contains the SIP caller id."""
        fields = mapping(body)
        call = mapping(fields.get("call"))
        kind = text(fields.get("event"))
        call_id = identifier(call.get("callId"))
        time = call.get(_TIMES.get(kind or "", "ended"))
        way, number = _line(mapping(call.get("medium")))
        caller = mapping(mapping(mapping(call.get("requestContext")).get("ultravox")).get("sip"))
        return Facts(
            event_type=_TYPES.get(kind, kind) if kind else None,
            call_id=call_id,
            occurred_at=moment(time),
            customer_phone=text(number, caller.get("caller_id")),
            direction=way,
            identity=(kind, call_id, time) if kind in _TIMES and call_id and text(time) else None,
        )

    def agent_of(self, body: Any) -> str | None:
        """In the call, in either of two places."""
        call = mapping(mapping(body).get("call"))
        return label(call.get("agentId"), mapping(call.get("agent")).get("agentId"))

    def length_of(self, body: Any) -> CallLength:
        """No duration: the time from joining to the end."""
        call = mapping(mapping(body).get("call"))
        return CallLength(started_at=call.get("joined"), ended_at=call.get("ended"))


def _line(medium: dict[str, Any]) -> tuple[str | None, str | None]:
    """Direction and customer's number from the call's only medium: `{"twilio": {"outgoing": {"to": ...}}}`."""
    if "webRtc" in medium:
        return "web", None
    for line in medium.values():
        outgoing = mapping(line).get("outgoing")
        if isinstance(outgoing, dict):
            return "outbound", text(outgoing.get("to"))
        if "incoming" in mapping(line):
            return "inbound", None
    return None, None
