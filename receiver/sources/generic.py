"""Any system that can send the plain Standard Webhooks form: `{type, timestamp, data}`, signed by its rules.

`data` may say `call_id`, `direction` and `customer_phone` in this project's own words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from receiver.envelope import Facts
from receiver.signatures import verify_standard_webhook
from receiver.sources.base import direction, identifier, mapping, moment, text


class Generic:
    """The sender speaks the project's words, so nothing is translated."""

    name = "generic"

    signature_headers: tuple[str, ...] = ("webhook-id", "webhook-timestamp", "webhook-signature")

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """By the Standard Webhooks rules; secrets are `whsec_` and base64."""
        verify_standard_webhook(headers, body, secrets, now)

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
