"""Retell: `POST /v3/list-calls`, and `GET /v2/get-call/{call_id}` for the transcript, which the list leaves out.

Sources: the vendor's package (retell-sdk 6: `resources/call.py`, `types/call_list_params.py`) and
docs.retellai.com/api-references/list-calls. Filters and order are by `start_timestamp`, in milliseconds; a call without
one cannot be listed by time.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from orchestration.recovery.platform import CALL, SINCE, Platform, Seen, ended, marked
from receiver.sources.base import identifier, mapping, moment_of_milliseconds, text

_OVER = {"ended", "error", "not_connected"}


class Retell(Platform):
    """`call_ended`, and `call_analyzed` once there is an analysis; both hold the call as the API returns it."""

    name = "retell"
    api_url = "https://api.retellai.com"
    calls = "POST /v3/list-calls"
    selector = "items"
    detail: dict[str, Any] | None = {"path": f"v2/get-call/{CALL}", "data_selector": "$"}  # noqa: RUF012

    def auth(self, key: str) -> dict[str, Any]:
        """A bearer token."""
        return {"type": "bearer", "token": key}

    def listing(self, until: datetime) -> dict[str, Any]:
        """A cursor in the body; oldest first, so that new calls come last."""
        between = {"type": "range", "op": "bt", "value": [SINCE, self.moment(until) - 1]}
        return {
            "path": "v3/list-calls",
            "method": "POST",
            "json": {
                "filter_criteria": {"start_timestamp": between},
                "sort_order": "ascending",
                "limit": 100,
            },
            "paginator": {
                "type": "cursor",
                "cursor_path": "pagination_key",
                "cursor_body_path": "pagination_key",
                "has_more_path": "has_more",
            },
        }

    def moment(self, when: datetime) -> int:
        """Unix milliseconds."""
        return int(when.timestamp() * 1000)

    def seen(self, call: dict[str, Any]) -> Seen:
        """`not_connected` calls get the same two webhooks."""
        started_at = moment_of_milliseconds(call.get("start_timestamp"))
        ended_at = moment_of_milliseconds(call.get("end_timestamp"))
        return Seen(
            identifier(call.get("call_id")),
            started_at or ended_at,
            ended_at or ended(started_at, call.get("duration_ms"), unit_seconds=0.001),
            text(call.get("call_status")) in _OVER,
        )

    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The end, then the analysis."""
        yield marked(self, {"event": "call_ended", "call": call})
        if mapping(call.get("call_analysis")):
            yield marked(self, {"event": "call_analyzed", "call": call})
