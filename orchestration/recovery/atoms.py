"""Smallest AI Atoms: `GET /conversation`, and `GET /conversation/{callId}` for transcript and variables.

Sources: the vendor's OpenAPI file and its package (`smallestai.atoms.calls`): page, limit (at most 500), dateFrom and
dateTo (by creation), `data.logs`, `data.pagination.hasMore`; `callId` is what a webhook calls so, `_id` is not. The
default order, newest change first, stays: sorting by creation is known to time out.

The API's fields differ from the webhook's, so the body is written in the wire dialect, with the API's call beside it.
The end of the call is its creation plus its duration: the API gives no other.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from orchestration.recovery.platform import CALL, SINCE, Platform, Seen, ended, marked
from receiver.sources.base import direction, identifier, mapping, moment, text

_OVER = {"completed", "failed", "no_answer", "no-answer", "cancelled", "canceled", "busy"}
_TYPES = {"inbound": "telephonyInbound", "outbound": "telephonyOutbound", "web": "webcall"}


class Atoms(Platform):
    """One webhook after the end, and one with the analytics, if any."""

    name = "atoms"
    api_url = "https://api.smallest.ai/atoms/v1"
    calls = "GET /conversation"
    selector = "data.logs"
    detail: dict[str, Any] | None = {"path": f"conversation/{CALL}", "data_selector": "data"}  # noqa: RUF012

    def auth(self, key: str) -> dict[str, Any]:
        """A bearer token."""
        return {"type": "bearer", "token": key}

    def listing(self, until: datetime) -> dict[str, Any]:
        """Numbered pages, from 1."""
        return {
            "path": "conversation",
            "params": {"limit": 100, "dateFrom": SINCE, "dateTo": self.moment(until)},
            "paginator": {
                "type": "page_number",
                "base_page": 1,
                "page_param": "page",
                "total_path": None,
                "has_more_path": "data.pagination.hasMore",
            },
        }

    def moment(self, when: datetime) -> str:
        """ISO 8601."""
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def seen(self, call: dict[str, Any]) -> Seen:
        """A call is over by its status."""
        return Seen(
            identifier(call.get("callId")),
            moment(call.get("createdAt")),
            _ended_at(call),
            text(call.get("status")) in _OVER,
        )

    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """post-conversation, then analytics-completed."""
        data = _call_data(call)
        recording = text(call.get("recordingUrl"))
        end = {"transcript": call.get("transcript") or [], "variables": mapping(call.get("variables"))}
        yield self._body(call, "post-conversation", {"callData": data, "recordingUrl": recording, **end})
        analytics = mapping(call.get("postCallAnalytics"))
        if analytics:
            analytics = {"dispositionMetrics": [], "successMetrics": [], **analytics}
            yield self._body(call, "analytics-completed", {"callData": data, "analytics": analytics})

    def _body(self, call: dict[str, Any], kind: str, more: dict[str, Any]) -> dict[str, Any]:
        agent = identifier(call.get("agentId"), mapping(call.get("agent")).get("_id"))
        metadata = {
            "agentId": agent,
            "eventType": kind,
            "callId": identifier(call.get("callId")),
            "conversationType": _TYPES.get(direction(call.get("type")) or "", text(call.get("type"))),
            **more,
        }
        return marked(self, {"event": f"{agent}.{kind}" if agent else kind, "metadata": metadata}, call)


def _call_data(call: dict[str, Any]) -> dict[str, Any]:
    ended_at = _ended_at(call)
    return {
        "fromNumber": text(call.get("from")),
        "toNumber": text(call.get("to")),
        "callDuration": call.get("duration"),
        "callStatus": text(call.get("status")),
        "callDirection": text(call.get("type")),
        "endTime": ended_at.isoformat().replace("+00:00", "Z") if ended_at else None,
    }


def _ended_at(call: dict[str, Any]) -> datetime | None:
    return ended(moment(call.get("createdAt")), call.get("duration"))
