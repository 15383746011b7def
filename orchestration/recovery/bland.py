"""Bland: `GET /v1/calls`, and `GET /v1/calls/{call_id}`, which is the webhook's body.

Sources: docs.bland.ai/api-v1/get/calls (from, limit, ascending, start_date and end_date as whole days, both included;
`calls`) and docs.bland.ai/api-v1/get/calls-id.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.recovery.platform import CALL, SINCE, Platform, Seen, ended, marked
from receiver.sources.base import identifier, moment, text

_PAGE = 100


class Bland(Platform):
    """One body after the call."""

    name = "bland"
    api_url = "https://api.bland.ai"
    calls = "GET /v1/calls"
    selector = "calls"
    detail: dict[str, Any] | None = {"path": f"v1/calls/{CALL}", "data_selector": "$"}  # noqa: RUF012

    def auth(self, key: str) -> dict[str, Any]:
        """The plain key in `authorization`."""
        return {"type": "api_key", "name": "authorization", "api_key": key, "location": "header"}

    def listing(self, until: datetime) -> dict[str, Any]:
        """By offset, oldest first, new calls last. The time zone of the days is not documented, so one day extra."""
        return {
            "path": "v1/calls",
            "params": {
                "ascending": "true",
                "start_date": SINCE,
                "end_date": self.moment(until + timedelta(days=2)),
            },
            "paginator": {
                "type": "offset",
                "limit": _PAGE,
                "offset_param": "from",
                "limit_param": "limit",
                "total_path": None,
            },
        }

    def moment(self, when: datetime) -> str:
        """The day before, in UTC: early enough in any time zone."""
        return f"{when.astimezone(UTC) - timedelta(days=1):%Y-%m-%d}"

    def seen(self, call: dict[str, Any]) -> Seen:
        """`end_at` is not the end but the time limit; `queue_status` is complete or completed."""
        created_at = moment(call.get("created_at"))
        began_at = moment(call.get("started_at")) or created_at
        status = text(call.get("queue_status"), call.get("status")) or ""
        return Seen(
            identifier(call.get("call_id"), call.get("c_id")),
            created_at,
            ended(began_at, call.get("call_length"), unit_seconds=60),
            call.get("completed") is True or status.startswith("complete"),
        )

    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The details, unchanged."""
        yield marked(self, call)
