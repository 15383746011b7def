"""Vapi: `{message}`; `status-update` reports the start and the end, `end-of-call-report` everything about the call.

Sources of the rules: the vendor's package `vapi-server-sdk` (`vapi/types/server_message_*.py`,
`hmac_authentication_plan.py`), docs.vapi.ai/server-url/events and docs.vapi.ai/server-url/server-authentication.
"""

import hmac
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
    match,
    verify_hmac_sha256_hex,
)
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
    moment_of_milliseconds,
    parts,
    text,
)

_REPORT, _STATUS = "end-of-call-report", "status-update"
_STATUSES = {"in-progress": CALL_START, "ended": CALL_END}
_OF_REPORT = ("endedReason", "startedAt", "endedAt", "analysis", "summary", "transcript", "messages")
_OF_ARTIFACT = ("transcript", "messages", "variableValues", "structuredOutputs", "scorecards")
_TIMESTAMP = re.compile(r"[0-9]{10}([0-9]{3})?", re.ASCII)
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE | re.ASCII)


class Vapi(Source):
    """The operator chooses the proof at Vapi: an HMAC credential, a bearer token, or the old secret."""

    name = "vapi"

    signature_headers: tuple[str, ...] = ("X-Signature", "X-Timestamp", "Authorization", "X-Vapi-Secret")

    analytics_end_the_call = True

    operator_objects = frozenset({"metadata", "structuredData", "structuredOutputs", "variableValues"})

    setup = Setup(
        platform="Vapi",
        steps=(
            "Custom Credentials: add one of the type HMAC with the secret, algorithm SHA256, encoding hex, signature "
            "header x-signature, timestamp header x-timestamp and payload format {timestamp}.{body} (all but the "
            "secret are the defaults).",
            "Assistant (or the organisation's settings): enter {url} as the server URL and choose that credential.",
            "Server messages: keep status-update and end-of-call-report only; the others want an answer or say nothing "
            "about the call's result.",
        ),
        credential="the secret of that HMAC credential, or a bearer token, or the old server URL secret",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """`x-signature`, hex HMAC-SHA256 of `{x-timestamp}.{body}`; else a token in `Authorization` or `x-vapi-secret`.

        The unit of the timestamp is not documented: 10 digits are seconds, 13 milliseconds. It may be off by five
        minutes either way. Without one only the body is signed, as with the payload format `{body}`.
        """
        names = ("x-signature", "x-timestamp", "authorization", "x-vapi-secret")
        signature, timestamp, authorization, token = (headers.get(name) for name in names)
        if signature is not None:
            _verify_hmac(signature, timestamp, body, secrets, now)
            return
        if authorization is not None:
            bearer = _BEARER.fullmatch(authorization.strip())
            token = bearer[1] if bearer else token
        if token is None:
            raise BadSignature(Reason.MISSING if authorization is None else Reason.MALFORMED)
        # digests, since comparing texts of different lengths would reveal the length by its duration
        match([_digest(secret) for secret in secrets], [_digest(token)])

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """As an HMAC credential with the default settings."""
        timestamp = str(int(now * 1000))
        return {
            "X-Timestamp": timestamp,
            "X-Signature": hmac_sha256_hex(secret, f"{timestamp}.".encode() + body),
        }

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """`customer` is the person and `phoneNumber` our line, in both directions."""
        message = mapping(mapping(body).get("message"))
        call = mapping(message.get("call"))
        kind = text(message.get("type"))
        call_id = identifier(call.get("id"))
        identity = _identity(kind, call_id, message)
        if kind == _STATUS:
            kind = _STATUSES.get(text(message.get("status")) or "", kind)
        elif kind == _REPORT:
            kind = ANALYTICS_COMPLETED
        sent_at = moment_of_milliseconds(message.get("timestamp")) or moment(message.get("timestamp"))
        ended_at = moment(message.get("endedAt")) or moment(call.get("endedAt"))
        customer = mapping(message.get("customer")) or mapping(call.get("customer"))
        return Facts(
            event_type=kind,
            call_id=call_id,
            occurred_at=(ended_at if kind == ANALYTICS_COMPLETED else None) or sent_at,
            customer_phone=text(customer.get("number")),
            direction=direction(call.get("type")),
            identity=identity,
        )

    def agent_of(self, body: Any) -> str | None:
        """The assistant of the call, else its squad."""
        call = mapping(mapping(mapping(body).get("message")).get("call"))
        return label(call.get("assistantId"), call.get("squadId"))

    def length_of(self, body: Any) -> CallLength:
        """Seconds and times of the report, else those of its call."""
        message = mapping(mapping(body).get("message"))
        call = mapping(message.get("call"))
        return CallLength(
            message.get("durationSeconds"),
            first(message.get("startedAt"), call.get("startedAt")),
            first(message.get("endedAt"), call.get("endedAt")),
        )


def _identity(kind: str | None, call_id: str | None, message: dict[str, Any]) -> Identity | None:
    """A status is identified by its time. There is one report per call, so only other content makes another event.

    The report's timestamp may be that of the try, and its recordings' addresses are signed anew for each try.
    """
    if call_id is None:
        return None
    if kind == _REPORT:
        artifact = parts(message.get("artifact"), *_OF_ARTIFACT)
        return (kind, call_id, parts(message, *_OF_REPORT), artifact)
    if kind == _STATUS and message.get("timestamp") is not None:
        return (kind, call_id, message.get("status"), message["timestamp"])
    return None


def _verify_hmac(
    claimed: str, timestamp: str | None, body: bytes, secrets: Sequence[str], now: float
) -> None:
    if timestamp is None:
        verify_hmac_sha256_hex(claimed, body, secrets)
        return
    timestamp = timestamp.strip()
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature(Reason.MALFORMED)
    verify_hmac_sha256_hex(claimed, f"{timestamp}.".encode() + body, secrets)
    signed_at = int(timestamp) / (1000 if len(timestamp) == 13 else 1)
    if abs(now - signed_at) > TOLERANCE_SECONDS:
        raise BadSignature(Reason.EXPIRED)


def _digest(text: str) -> bytes:
    return hmac.digest(b"", text.encode("utf-8", "surrogatepass"), "sha256")
