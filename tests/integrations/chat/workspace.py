"""A workspace of Slack as far as a bot needs it, answering as Slack's reference says."""

from dataclasses import dataclass, field
from typing import Any

from slack_sdk.models.blocks import Block

from tests.integrations.servers import Answer, Request, says

TOKEN = "xoxb-1234567890-abcdef"


@dataclass
class Workspace:
    """Channels, their messages, threads."""

    channels: dict[str, str] = field(default_factory=lambda: {"support": "C1", "alerts": "C2", "vip": "C3"})
    messages: list[dict[str, Any]] = field(default_factory=list)
    page: int = 200

    def __call__(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return says(200, {"ok": False, "error": "invalid_auth"})
        method = request.path.rpartition("/")[2]
        return getattr(self, method.replace(".", "_"))(request)  # type: ignore[no-any-return]

    def chat_postMessage(self, request: Request) -> Answer:
        posted = request.json()
        named = posted["channel"].removeprefix("#")
        channel = self.channels.get(named, named)
        if channel not in self.channels.values():
            return says(200, {"ok": False, "error": "channel_not_found"})
        Block.parse_all(posted["blocks"])
        posted |= {"ts": f"1793606400.{len(self.messages):06d}", "channel": channel}
        self.messages.append(posted)
        return says(200, {"ok": True, "channel": channel, "ts": posted["ts"], "message": {}})

    def conversations_list(self, request: Request) -> Answer:
        listed = [{"name": name, "id": one} for name, one in self.channels.items()]
        return self._paged(request, "channels", listed)

    def conversations_history(self, request: Request) -> Answer:
        wanted = request.form()["channel"]
        oldest = float(request.form().get("oldest") or 0)
        shown = [
            one
            for one in self.messages
            if one["channel"] == wanted and "thread_ts" not in one and float(one["ts"]) > oldest
        ]
        return self._paged(request, "messages", shown[::-1])

    def conversations_replies(self, request: Request) -> Answer:
        thread = request.form()["ts"]
        if thread not in {one["ts"] for one in self.messages}:
            return says(200, {"ok": False, "error": "thread_not_found"})
        shown = [one for one in self.messages if thread in (one["ts"], one.get("thread_ts"))]
        return self._paged(request, "messages", shown)

    def _paged(self, request: Request, name: str, items: list[Any]) -> Answer:
        start = int(request.form().get("cursor") or 0)
        end = start + self.page
        following = str(end) if end < len(items) else ""
        return says(
            200, {"ok": True, name: items[start:end], "response_metadata": {"next_cursor": following}}
        )
