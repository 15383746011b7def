"""Any system that sends the plain Standard Webhooks form, `{type, timestamp, data}`, signed by its rules.

`data` may have `call_id`, `direction` and `customer_phone`, with this project's own values.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from receiver.envelope import Facts
from receiver.signatures import sign_standard_webhook, verify_standard_webhook
from receiver.sources.base import (
    CallLength,
    Setup,
    Source,
    direction,
    identifier,
    label,
    mapping,
    moment,
    text,
)


class Generic(Source):
    """The sender uses the project's own names, so nothing is translated."""

    name = "generic"

    signature_headers: tuple[str, ...] = ("webhook-id", "webhook-timestamp", "webhook-signature")

    operator_objects = frozenset({"variables", "metrics"})

    setup = Setup(
        platform="any system that speaks Standard Webhooks",
        steps=(
            "Have it POST {url} with Content-Type: application/json for every event of a call.",
            'Send {"type": "call.start" | "call.end" | "analytics.completed", "timestamp": ISO 8601, '
            '"data": {"call_id": ...}}; docs/sources/generic.md has all fields of data.',
            "Sign by the Standard Webhooks rules: webhook-id, webhook-timestamp, webhook-signature.",
        ),
        credential="`whsec_` and the base64 of 24 to 64 random bytes: echo whsec_$(openssl rand -base64 32)",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """By the Standard Webhooks rules; secrets are `whsec_` and base64."""
        verify_standard_webhook(headers, body, secrets, now)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """Any id that stays the same over retries would do; this one is the digest of the body."""
        return sign_standard_webhook(hashlib.sha256(body).hexdigest(), body, secret, now)

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """`webhook-id` stays the same over retries, so it is the event's id."""
        fields = mapping(body)
        data = mapping(fields.get("data"))
        return Facts(
            event_id=identifier(headers.get("webhook-id")),
            event_type=text(fields.get("type")),
            call_id=identifier(data.get("call_id")),
            occurred_at=moment(fields.get("timestamp")),
            customer_phone=text(data.get("customer_phone")),
            direction=direction(data.get("direction")),
        )

    def agent_of(self, body: Any) -> str | None:
        """In `data`, as all facts."""
        return label(mapping(mapping(body).get("data")).get("agent_id"))

    def length_of(self, body: Any) -> CallLength:
        """In `data`, as all facts."""
        data = mapping(mapping(body).get("data"))
        return CallLength(data.get("duration_seconds"), data.get("started_at"), data.get("ended_at"))
