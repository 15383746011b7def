"""Synthflow: one body after a call, `{status, lead, call, analysis, ...}`.

The platform signs only the call's id. So the header proves that somebody with the secret once sent a body about this
call, not that it was this body. Sources of the rules: docs.synthflow.ai (webhooks, security, post-call-webhook).
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from receiver.body import BadBody, parse, without_mark
from receiver.envelope import Facts
from receiver.signatures import BadSignature, Reason, match
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

_OF_CALL = ("status", "start_time", "duration", "transcript", "end_call_reason", "custom_end_call_reason")
_OF_BODY = ("status", "event", "type", "analysis", "executed_actions", "collected_variables")
_BASE64_DIGEST = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)


class Synthflow(Source):
    """The documented header is spelled like a server variable. Behind proxies that drop underscores, others arrive."""

    name = "synthflow"

    signature_headers: tuple[str, ...] = (
        "HTTP_SYNTHFLOW_SIGNATURE",
        "HTTP-SYNTHFLOW-SIGNATURE",
        "SYNTHFLOW-SIGNATURE",
        "X-SYNTHFLOW-SIGNATURE",
    )

    reads_before_verifying = True

    analytics_end_the_call = True

    operator_objects = frozenset({"analysis", "collected_variables", "prompt_variables"})

    setup = Setup(
        platform="Synthflow",
        steps=(
            "Set external_webhook_url of every assistant (or of the Make a call request) to {url}.",
            "Make a signing key under Admin > Workspace Settings > Security > Webhooks.",
            "The signature's header has underscores, which nginx drops unless underscores_in_headers is on.",
        ),
        credential="the signing key created there",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """Base64 HMAC-SHA256 of the call's id, so the body must be parsed first."""
        headers_sent = [headers.get(name.lower()) for name in self.signature_headers]
        claimed = next((claim.strip() for claim in headers_sent if claim), None)
        if claimed is None:
            raise BadSignature(Reason.MISSING)
        # the cheap check first: a stranger may have sent the body
        if not _BASE64_DIGEST.fullmatch(claimed) or (signed := _call_id(body)) is None:
            raise BadSignature(Reason.MALFORMED)
        match([_signature(secret, signed).encode() for secret in secrets], [claimed.encode()])

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """In the documented header."""
        return {"HTTP_SYNTHFLOW_SIGNATURE": _signature(secret, _call_id(body) or "")}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """One event is end and analysis. Its identity is its content: a repeat may have another recording address."""
        fields = mapping(body)
        call = mapping(fields.get("call"))
        call_id = identifier(call.get("call_id"))
        return Facts(
            event_type=ANALYTICS_COMPLETED if call else text(fields.get("event"), fields.get("type")),
            call_id=call_id,
            occurred_at=moment(call.get("end_time"), call.get("timezone")),
            customer_phone=text(mapping(fields.get("lead")).get("phone_number")),
            identity=None if call_id is None else (call_id, parts(call, *_OF_CALL), parts(fields, *_OF_BODY)),
        )

    def agent_of(self, body: Any) -> str | None:
        """The assistant is `model_id`."""
        return label(mapping(mapping(body).get("call")).get("model_id"))

    def length_of(self, body: Any) -> CallLength:
        """Seconds, and the start."""
        call = mapping(mapping(body).get("call"))
        return CallLength(call.get("duration"), call.get("start_time"))


def _call_id(body: bytes) -> str | None:
    """The signed id, as sent; None if the body is not JSON or has none."""
    try:
        fields = mapping(parse(without_mark(body)))
    except BadBody:
        return None
    return identifier(mapping(fields.get("call")).get("call_id"), fields.get("call_id"))


def _signature(secret: str, signed: str) -> str:
    key = secret.encode("utf-8", "surrogateescape")
    return base64.b64encode(hmac.digest(key, signed.encode("utf-8", "surrogatepass"), "sha256")).decode()
