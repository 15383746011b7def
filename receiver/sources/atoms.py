"""Smallest AI Atoms: today's wire dialect, and the seed dialect of its guides, which has two forms.

Sources of the rules: the vendor's webhook page and OpenAPI file (wire), its event payload guide (seed), and its set-up
guide (`{event, data, call_id}` with `call.started`, `call.ended`, ...).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from receiver.body import BadBody, parse
from receiver.envelope import Facts
from receiver.signatures import BadSignature, Reason, hmac_sha256_hex, verify_hmac_sha256_hex
from receiver.sources.base import (
    ANALYTICS_COMPLETED,
    CALL_END,
    CALL_START,
    CallLength,
    Setup,
    Source,
    direction,
    first,
    identifier,
    label,
    mapping,
    moment,
    text,
)

_TYPES = {
    "pre-conversation": CALL_START,
    "post-conversation": CALL_END,
    "analytics-completed": ANALYTICS_COMPLETED,
    "call.started": CALL_START,
    "call.ended": CALL_END,
}
_CALL_ID_TIME = re.compile(r"CALL-(\d{13})-", re.ASCII)
_SEED_PREFIX = "sha256="


class Atoms(Source):
    """Both dialects arrive at one address and may share a secret. One of the two signature headers is enough."""

    name = "atoms"

    signature_headers: tuple[str, ...] = ("X-Signature", "X-Atoms-Signature")

    operator_objects = frozenset({"variables", "metrics"})

    setup = Setup(
        platform="Smallest AI Atoms",
        steps=(
            "Create a webhook with the endpoint {url} and the events pre-conversation, post-conversation and "
            "analytics-completed.",
            "Subscribe each agent whose calls should arrive to that webhook.",
        ),
        credential="the webhook's signing secret (`decryptedSecretKey` of GET /webhook)",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """HMAC-SHA256 of the raw body: `X-Signature`, hex, or `X-Atoms-Signature`, `sha256=` and hex.

        No time is signed, so `now` is not used. A request sent again is a duplicate by its event id.
        """
        try:
            verify_hmac_sha256_hex(headers.get("x-signature"), body, secrets)
        except BadSignature as wire:
            try:
                verify_hmac_sha256_hex(headers.get("x-atoms-signature"), body, secrets, _SEED_PREFIX)
            except BadSignature as seed:
                raise (seed if wire.reason is Reason.MISSING else wire) from None

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """As the dialect of the body signs."""
        digest = hmac_sha256_hex(secret, body)
        return {"X-Signature": digest} if _is_wire(body) else {"X-Atoms-Signature": _SEED_PREFIX + digest}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """Only the wire dialect has its facts in `metadata`."""
        fields = mapping(body)
        metadata = mapping(fields.get("metadata"))
        if "eventType" in metadata or "callId" in metadata:
            return _wire(fields, metadata)
        return _seed(fields)

    def agent_of(self, body: Any) -> str | None:
        """At the top or in `data` (seed), in `metadata` (wire)."""
        fields = mapping(body)
        metadata, data = mapping(fields.get("metadata")), mapping(fields.get("data"))
        return label(fields.get("agent_id"), metadata.get("agentId"), data.get("agent_id"))

    def length_of(self, body: Any) -> CallLength:
        """Seconds in both dialects; only the wire dialect has the call's own times."""
        fields = mapping(body)
        call, data = mapping(mapping(fields.get("metadata")).get("callData")), mapping(fields.get("data"))
        durations = (fields.get("duration_seconds"), call.get("callDuration"), data.get("duration_seconds"))
        return CallLength(first(*durations), call.get("answerTime"), call.get("endTime"))


def _is_wire(body: bytes) -> bool:
    try:
        return isinstance(mapping(parse(body)).get("metadata"), dict)
    except BadBody:
        return False


def _seed(fields: dict[str, Any]) -> Facts:
    """Facts stand at the top, or in `data`; `caller_phone` is the customer whatever the direction."""
    data = mapping(fields.get("data"))
    variables = mapping(fields.get("variables")) or mapping(data.get("variables"))
    kind = text(fields.get("event"))
    return Facts(
        event_type=_TYPES.get(kind, kind) if kind else None,
        call_id=identifier(fields.get("call_id"), data.get("call_id")),
        occurred_at=moment(fields.get("timestamp")) or moment(data.get("timestamp")),
        customer_phone=text(
            fields.get("caller_phone"), data.get("caller_phone"), variables.get("user_number")
        ),
        direction=direction(
            fields.get("call_direction"), data.get("call_direction"), variables.get("conversation_type")
        ),
    )


def _wire(fields: dict[str, Any], metadata: dict[str, Any]) -> Facts:
    """An event has no time: the end of the call dates `call.end` and `analytics.completed`.

    The call id dates `call.start`: its 13 digits are the milliseconds when the call was created.
    """
    call = mapping(metadata.get("callData"))
    variables = mapping(metadata.get("variables"))
    kind = text(metadata.get("eventType"), _after_agent(fields.get("event")))
    kind = _TYPES.get(kind, kind) if kind else None
    call_id = identifier(metadata.get("callId"))
    way = direction(call.get("callDirection"), metadata.get("conversationType"))
    return Facts(
        event_id=identifier(fields.get("id")),
        event_type=kind,
        call_id=call_id,
        occurred_at=_created(call_id) if kind == CALL_START else moment(call.get("endTime")),
        customer_phone=text(*_customer(way, metadata, call), variables.get("user_number")),
        direction=way,
    )


def _customer(way: str | None, metadata: dict[str, Any], call: dict[str, Any]) -> tuple[Any, ...]:
    """The other side of the line: who calls when inbound, who is called when outbound."""
    if way == "inbound":
        return metadata.get("fromPhone"), call.get("fromNumber")
    if way == "outbound":
        return metadata.get("toPhone"), call.get("toNumber")
    return ()


def _after_agent(event: Any) -> str | None:
    """`{agentId}.{eventType}` without the agent."""
    return event.rpartition(".")[2] if isinstance(event, str) else None


def _created(call_id: str | None) -> datetime | None:
    created = _CALL_ID_TIME.match(call_id or "")
    return datetime.fromtimestamp(int(created[1]) / 1000, UTC) if created else None
