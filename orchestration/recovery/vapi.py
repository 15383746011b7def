"""Vapi: `GET /call`, and `GET /call/{id}` for the fields that a listed call is stored without.

Source: the vendor's OpenAPI file (`/call`: limit at most 1000, createdAtGe, createdAtLe, createdAtLt; the answer is a
bare list. Pages and order are not documented; a limit without an order implies newest first). The next page is
everything created up to the oldest call of the page before.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from orchestration.recovery.platform import CALL, SINCE, Platform, Seen, marked
from receiver.sources.base import identifier, moment

PAGE = 100
_BESIDE = ("artifact", "analysis", "customer", "phoneNumber", "startedAt", "endedAt", "endedReason", "cost")


class Vapi(Platform):
    """`end-of-call-report` is end and analysis in one."""

    name = "vapi"
    api_url = "https://api.vapi.ai"
    calls = "GET /call"
    selector = "$"
    detail: dict[str, Any] | None = {"path": f"call/{CALL}", "data_selector": "$"}  # noqa: RUF012
    heavy = frozenset({"artifact", "messages", "transcript", "costs", "assistant", "squad", "workflow"})

    def auth(self, key: str) -> dict[str, Any]:
        """A bearer token: the private key."""
        return {"type": "bearer", "token": key}

    def listing(self, until: datetime) -> dict[str, Any]:
        """By creation."""
        from orchestration.recovery.paging import OlderCalls

        return {
            "path": "call",
            "params": {"limit": PAGE, "createdAtGe": SINCE, "createdAtLt": self.moment(until)},
            "paginator": OlderCalls(PAGE),
        }

    def moment(self, when: datetime) -> str:
        """ISO 8601 with milliseconds, as the API writes them."""
        return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def seen(self, call: dict[str, Any]) -> Seen:
        """A call is over if its status is `ended`."""
        return Seen(
            identifier(call.get("id")),
            moment(call.get("createdAt")),
            moment(call.get("endedAt")) or moment(call.get("updatedAt")),
            call.get("status") == "ended",
        )

    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The report, with the call and the fields that a report repeats beside it."""
        message = {"type": "end-of-call-report", "call": call}
        message |= {name: call[name] for name in _BESIDE if call.get(name) is not None}
        yield marked(self, {"message": message})
