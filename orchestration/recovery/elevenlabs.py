"""ElevenLabs Agents: `GET /v1/convai/conversations`, and `.../{conversation_id}`, which is the webhook's `data`.

Sources: the vendor's package (`elevenlabs.conversational_ai.conversations`): cursor, page_size (at most 100),
call_start_after_unix and call_start_before_unix in seconds, has_more, next_cursor. A failed conversation without a
message is assumed to be a `call_initiation_failure`, from that webhook's description.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from orchestration.recovery.platform import CALL, SINCE, Platform, Seen, ended, marked
from receiver.sources.base import identifier, mapping, moment_of, text

_OVER = {"done", "failed"}


class ElevenLabs(Platform):
    """`post_call_transcription` is end and analysis in one."""

    name = "elevenlabs"
    api_url = "https://api.elevenlabs.io"
    calls = "GET /v1/convai/conversations"
    selector = "conversations"
    detail: dict[str, Any] | None = {  # noqa: RUF012
        "path": f"v1/convai/conversations/{CALL}",
        "data_selector": "$",
    }

    def auth(self, key: str) -> dict[str, Any]:
        """The header `xi-api-key`."""
        return {"type": "api_key", "name": "xi-api-key", "api_key": key, "location": "header"}

    def listing(self, until: datetime) -> dict[str, Any]:
        """A cursor in the query. Whether bounds are inclusive is not documented, so both reach a second further."""
        return {
            "path": "v1/convai/conversations",
            "params": {
                "page_size": 100,
                "call_start_after_unix": SINCE,
                "call_start_before_unix": self.moment(until) + 2,
            },
            "paginator": {
                "type": "cursor",
                "cursor_path": "next_cursor",
                "cursor_param": "cursor",
                "has_more_path": "has_more",
            },
        }

    def moment(self, when: datetime) -> int:
        """Unix seconds, less one."""
        return int(when.timestamp()) - 1

    def seen(self, call: dict[str, Any]) -> Seen:
        """A call in `processing` is not over: its analysis is running."""
        started_at = moment_of(_in_either(call, "start_time_unix_secs"))
        return Seen(
            identifier(call.get("conversation_id")),
            started_at,
            ended(started_at, _in_either(call, "call_duration_secs")),
            text(call.get("status")) in _OVER,
        )

    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """One body; its time is the end of the call."""
        ended_at = self.seen(call).ended_at
        failed = call.get("status") == "failed" and not (call.get("message_count") or call.get("transcript"))
        body: dict[str, Any] = {"type": "call_initiation_failure" if failed else "post_call_transcription"}
        if ended_at is not None:
            body["event_timestamp"] = int(ended_at.timestamp())
        reason = text(_in_either(call, "termination_reason"))
        yield marked(self, {**body, "data": {**call, "failure_reason": reason} if failed else call})


def _in_either(call: dict[str, Any], name: str) -> Any:
    """A field that the list has at the top and the detail in `metadata`."""
    metadata = mapping(call.get("metadata"))
    return metadata.get(name, call.get(name))
