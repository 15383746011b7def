"""Slack's Web API with a bot's token: messages that can be found again, the later ones of a call in its thread.

    AFTERCALL_CHAT=slack_bot
    AFTERCALL_SLACK_BOT_TOKEN=xoxb-…

Scopes: `chat:write`, and to look before posting `channels:read` and `channels:history` (for private channels
`groups:read` and `groups:history`). The bot must be a member of the channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from integrations.chat.message import channel_of, message
from integrations.chat.slack_message import EVENT_TYPE, arguments
from integrations.config import DestinationSettings, IntegrationSettings
from integrations.destinations import CheckResult, Delivery, Limits
from integrations.errors import DestinationUnavailable, Rejected, TransientError, Unreachable
from integrations.rendering import line
from integrations.slack.api import SETTING, SlackApi, ThreadGone
from integrations.slack.errors import slack_error

# The first to post, the others to look before.
SCOPES = ("chat:write", "channels:read", "channels:history")
# A message is looked for from the moment at which the outbox first held its action: none can be older. By so much may
# Slack's clock and ours differ.
CLOCKS_DIFFER = timedelta(hours=1)
PAGES, PAGE = 100, 200


class SlackBotSettings(DestinationSettings):
    """Beside those of the Web API, in `integrations.slack.api`."""

    slack_look_first: bool = Field(
        True,
        description="Look into a channel before posting, so that a crash posts nothing twice; needs "
        "channels:read and channels:history.",
    )


def open_destination(settings: IntegrationSettings) -> "SlackBot":
    """The workspace that the token belongs to."""
    return SlackBot(settings)


@dataclass(frozen=True)
class _Posted:
    """Our messages in a channel or thread since `start`: `channel:timestamp` by action key."""

    start: datetime
    by_key: dict[str, str]


class SlackBot:
    """A workspace. It reads each channel once per pass, because during a pass nobody else posts for aftercall.

    Raises:
        DestinationUnavailable: if there is no token.
    """

    name = "slack_bot"
    # chat.postMessage takes about one message a second; one at a time keeps a call's thread in order.
    limits = Limits(concurrency=1, per_second=1.0)

    def __init__(self, settings: IntegrationSettings) -> None:
        self._api = SlackApi(settings)
        self._settings = settings
        self._look_first = self.can_be_asked = settings.of(SlackBotSettings).slack_look_first
        self._ids: dict[str, str] = {}
        self._posted: dict[tuple[str, str], _Posted] = {}
        self._gone: set[tuple[str, str]] = set()

    def find(self, delivery: Delivery) -> str | None:
        """The message that carries the action's key, in the thread it would go to or in the channel itself.

        When it was tried first there may have been no thread yet: a later message about the call came through first.
        """
        if not self._look_first:
            return None
        name = channel_of(delivery)
        thread = self._thread(delivery, name)
        if thread:
            try:
                posted = self._known(*thread, delivery)
            except ThreadGone:
                self._gone.add(thread)
            else:
                if posted:
                    return posted
        return self._known(self._channel_id(name), "", delivery)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Post it, into the thread of the call's first message here if there is one; returns `channel:timestamp`."""
        body = self.body(delivery, external_id)
        answer = self._api.call("chat.postMessage", body["channel"], json=body).data
        channel, timestamp = answer.get("channel"), answer.get("ts")
        if not channel or not timestamp:
            raise Unreachable("Slack answered ok, but not which message it made", may_be_done=True)
        posted = f"{channel}:{timestamp}"
        known = self._posted.get((str(channel), body.get("thread_ts", "")))
        if known:
            known.by_key[delivery.action_key] = posted
        return posted

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """The arguments of chat.postMessage, with the thread that it goes into."""
        body = arguments(message(delivery, self._settings))
        thread = self._thread(delivery, body["channel"])
        return body | ({"channel": thread[0], "thread_ts": thread[1]} if thread else {})

    def check(self) -> Iterator[CheckResult]:
        """Whose token it is, whether it has the scopes, and whether the bot is in the channel of alerts."""
        try:
            reply = self._api.call("auth.test")
        except (DestinationUnavailable, Rejected, TransientError) as error:
            yield CheckResult("credentials", False, str(error))
            return
        yield CheckResult("credentials", True, f"{reply.data.get('user')} in {reply.data.get('team')}")
        granted = {scope.strip() for scope in reply.headers.get("x-oauth-scopes", "").split(",")}
        missing = [scope for scope in SCOPES[: None if self._look_first else 1] if scope not in granted]
        yield CheckResult(
            "scopes", not missing, f"add {', '.join(missing)} to the app" if missing else ", ".join(SCOPES)
        )
        if not missing and self._look_first:
            yield self.check_channel(self._settings.chat_alert_channel)

    def check_channel(self, name: str) -> CheckResult:
        """Whether the bot can read a channel, which it can where it is a member."""
        try:
            self._look(self._channel_id(name), "", datetime.now(UTC) - CLOCKS_DIFFER)
        except (DestinationUnavailable, Rejected, TransientError) as error:
            return CheckResult(f"channel {name}", False, str(error))
        return CheckResult(f"channel {name}", True, "the bot can read it")

    def close(self) -> None:
        """Close every connection."""
        self._api.close()

    def _thread(self, delivery: Delivery, channel: str) -> tuple[str, str] | None:
        """Channel id and timestamp of the first message about the same call in the same Slack channel."""
        for earlier in delivery.earlier:
            if line(earlier.payload.get("slack_channel"), 80) == channel:
                where, _, timestamp = earlier.external_id.partition(":")
                thread = (where, timestamp)
                return thread if timestamp and thread not in self._gone else None
        return None

    def _known(self, channel: str, thread: str, delivery: Delivery) -> str | None:
        start = (delivery.known_since or delivery.at) - CLOCKS_DIFFER
        posted = self._posted.get((channel, thread))
        if posted is None or posted.start > start:
            posted = self._posted[channel, thread] = _Posted(start, self._look(channel, thread, start))
        return posted.by_key.get(delivery.action_key)

    def _channel_id(self, name: str) -> str:
        if not name.startswith("#"):
            return name
        if name not in self._ids:
            self._ids |= self._channels(name)
        if name not in self._ids:
            raise slack_error("channel_not_found", name, setting=SETTING)
        return self._ids[name]

    def _channels(self, wanted: str) -> dict[str, str]:
        """Ids of channels by `#name`, as far as it takes to find the wanted one."""
        ids: dict[str, str] = {}
        parameters = {"exclude_archived": "true", "limit": "1000", "types": "public_channel,private_channel"}
        while wanted not in ids:
            answer = self._api.call("conversations.list", wanted, form=parameters).data
            ids |= {f"#{one['name']}": one["id"] for one in answer.get("channels") or ()}
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            parameters["cursor"] = cursor
        return ids

    def _look(self, channel: str, thread: str, start: datetime) -> dict[str, str]:
        """Our messages in a channel since `start`, or in a thread, by action key."""
        posted: dict[str, str] = {}
        parameters = {"channel": channel, "limit": str(PAGE), "include_all_metadata": "true"}
        if thread:
            parameters["ts"] = thread
        else:
            parameters["oldest"] = f"{start.timestamp():.6f}"
        for _ in range(PAGES):
            method = "conversations.replies" if thread else "conversations.history"
            answer = self._api.call(method, channel, form=parameters).data
            for one in answer.get("messages") or ():
                metadata = one.get("metadata") or {}
                key = (metadata.get("event_payload") or {}).get("action_key")
                if metadata.get("event_type") == EVENT_TYPE and key:
                    posted[key] = f"{channel}:{one['ts']}"
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            parameters["cursor"] = cursor
        return posted
