"""Slack's Web API with a bot's token: messages that can be found again, the later ones of a call in its thread.

    AFTERCALL_SLACK=bot
    AFTERCALL_SLACK_BOT_TOKEN=xoxb-…

Scopes: `chat:write`, and to look before posting `channels:read` and `channels:history` (for private channels
`groups:read` and `groups:history`). The bot must be a member of the channels.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from ssl import SSLCertVerificationError
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from integrations.config import IntegrationSettings
from integrations.deadline import DeadlineExceeded, within
from integrations.destinations import Delivery, Finding, Limits
from integrations.errors import Busy, Forbidden, Paused, Refused, Retryable, Unreachable, is_no_connection
from integrations.http import checked_url, retry_after
from integrations.rendering import line
from integrations.slack.errors import slack_error
from integrations.slack.rendering import EVENT_TYPE, message

_SETTING = "AFTERCALL_SLACK_BOT_TOKEN"
# The first to post, the others to look before.
SCOPES = ("chat:write", "channels:read", "channels:history")
# A message is looked for among those of this time, and of so many pages; a crash is hardly older.
LOOK_BACK = timedelta(days=1)
PAGES, PAGE = 20, 200


def open_destination(settings: IntegrationSettings) -> "SlackBot":
    """The workspace that the token belongs to."""
    return SlackBot(settings)


class SlackBot:
    """A workspace. What it knows of channels and their messages is asked once a pass, while the pass alone posts.

    Raises:
        Paused: if there is no token.
    """

    name = "bot"
    # chat.postMessage takes about one message a second; one at a time keeps a call's thread in order.
    limits = Limits(concurrency=1, per_second=1.0)

    def __init__(self, settings: IntegrationSettings) -> None:
        token = settings.slack_bot_token.get_secret_value().strip()
        if not token:
            raise Paused(f"set {_SETTING} to the bot's token (xoxb-…); Slack shows it in the app's settings")
        # The client's own log holds whole messages; what matters comes back as errors.
        silent = logging.Logger("aftercall.slack", logging.CRITICAL + 1)
        self._api = WebClient(
            token,
            base_url=checked_url(settings.slack_api_url, "AFTERCALL_SLACK_API_URL").rstrip("/") + "/",
            timeout=max(1, round(settings.http_read_seconds)),
            logger=silent,
            retry_handlers=[],
        )
        self._settings = settings
        self._whole, self._look_first = settings.http_whole_seconds, settings.slack_look_first
        self.can_be_asked = self._look_first
        self._ids: dict[str, str] = {}
        self._posted: dict[tuple[str, str], dict[str, str]] = {}
        self._gone: set[tuple[str, str]] = set()

    def find(self, delivery: Delivery) -> str | None:
        """The message that carries the action's key, in the thread it would go to or in the channel itself.

        When it was tried first there may have been no thread yet: a later message about the call came through first.
        """
        if not self._look_first:
            return None
        name = str(message(delivery, self._settings)["channel"])
        thread = self._thread(delivery, name)
        if thread:
            try:
                found = self._known(*thread, delivery)
            except _ThreadGone:
                self._gone.add(thread)
            else:
                if found:
                    return found
        return self._known(self._channel_id(name), "", delivery)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Post it, into the thread of the call's first message here if there is one; returns `channel:timestamp`."""
        made = self.body(delivery, external_id)
        told = self._ask("chat.postMessage", made["channel"], json=made)
        channel, timestamp = told.get("channel"), told.get("ts")
        if not channel or not timestamp:
            raise Retryable("Slack answered ok, but not which message it made")
        posted = f"{channel}:{timestamp}"
        self._posted.get((str(channel), made.get("thread_ts", "")), {})[delivery.action_key] = posted
        return posted

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """The arguments of chat.postMessage, with the thread that it goes into."""
        made = message(delivery, self._settings)
        thread = self._thread(delivery, made["channel"])
        return made | ({"channel": thread[0], "thread_ts": thread[1]} if thread else {})

    def check(self) -> Iterator[Finding]:
        """Whose token it is, whether it has the scopes, and whether the bot is in the channel of alerts."""
        try:
            told = self._asked("auth.test", "the token")
        except (Paused, Refused, Retryable) as error:
            yield Finding("credentials", False, str(error))
            return
        data = told.data if isinstance(told.data, dict) else {}
        yield Finding("credentials", True, f"{data.get('user')} in {data.get('team')}")
        names = {str(name).lower(): str(value) for name, value in told.headers.items()}
        granted = {scope.strip() for scope in names.get("x-oauth-scopes", "").split(",")}
        missing = [scope for scope in SCOPES[: None if self._look_first else 1] if scope not in granted]
        yield Finding(
            "scopes", not missing, f"add {', '.join(missing)} to the app" if missing else ", ".join(SCOPES)
        )
        if not missing and self._look_first:
            yield self.check_channel(self._settings.slack_alert_channel)

    def check_channel(self, name: str) -> Finding:
        """Whether the bot can read a channel, which it can where it is a member."""
        try:
            self._look(self._channel_id(name), "", datetime.now(UTC))
        except (Paused, Refused, Retryable) as error:
            return Finding(f"channel {name}", False, str(error))
        return Finding(f"channel {name}", True, "the bot can read it")

    def _thread(self, delivery: Delivery, channel: str) -> tuple[str, str] | None:
        """Channel id and timestamp of the first message about the same call in the same Slack channel."""
        for earlier in delivery.earlier:
            if line(earlier.payload.get("slack_channel"), 80) == channel:
                where, _, timestamp = earlier.external_id.partition(":")
                thread = (where, timestamp)
                return thread if timestamp and thread not in self._gone else None
        return None

    def _known(self, channel: str, thread: str, delivery: Delivery) -> str | None:
        if (channel, thread) not in self._posted:
            self._posted[channel, thread] = self._look(channel, thread, delivery.at)
        return self._posted[channel, thread].get(delivery.action_key)

    def _channel_id(self, name: str) -> str:
        if not name.startswith("#"):
            return name
        if name not in self._ids:
            self._ids |= self._channels(name)
        if name not in self._ids:
            raise slack_error("channel_not_found", name, setting=_SETTING)
        return self._ids[name]

    def _channels(self, wanted: str) -> dict[str, str]:
        """Ids of channels by `#name`, as far as it takes to find the wanted one."""
        found: dict[str, str] = {}
        parameters = {"exclude_archived": "true", "limit": "1000", "types": "public_channel,private_channel"}
        while wanted not in found:
            told = self._ask("conversations.list", wanted, params=parameters)
            found |= {f"#{one['name']}": one["id"] for one in told.get("channels") or ()}
            cursor = (told.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            parameters["cursor"] = cursor
        return found

    def _look(self, channel: str, thread: str, at: datetime) -> dict[str, str]:
        """Our messages in a channel or thread by action key."""
        found: dict[str, str] = {}
        parameters = {"channel": channel, "limit": str(PAGE), "include_all_metadata": "true"}
        if thread:
            parameters["ts"] = thread
        else:
            parameters["oldest"] = str((at - LOOK_BACK).timestamp())
        for _ in range(PAGES):
            method = "conversations.replies" if thread else "conversations.history"
            told = self._ask(method, channel, params=parameters)
            for one in told.get("messages") or ():
                metadata = one.get("metadata") or {}
                key = (metadata.get("event_payload") or {}).get("action_key")
                if metadata.get("event_type") == EVENT_TYPE and key:
                    found[key] = f"{channel}:{one['ts']}"
            cursor = (told.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            parameters["cursor"] = cursor
        return found

    def _ask(self, method: str, where: str, **arguments: Any) -> Mapping[str, Any]:
        """What a method of the Web API answers."""
        told = self._asked(method, where, **arguments).data
        if not isinstance(told, dict):
            raise Retryable(f"Slack answered {method} with something that is not JSON")
        return told

    def _asked(self, method: str, where: str, **arguments: Any) -> SlackResponse:
        """Call a method; every failure as one of the kinds, without a cause that holds the request."""
        try:
            return within(self._whole, lambda: self._api.api_call(method, **arguments))
        except SlackApiError as error:
            raise _kind(error, method, where) from None
        except DeadlineExceeded:
            raise Unreachable(
                f"Slack did not end its answer to {method} within {self._whole:g} s", may_be_done=True
            ) from None
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, SSLCertVerificationError):
                raise Paused(
                    "Slack's API shows a certificate that is not to be trusted; look at AFTERCALL_SLACK_API_URL"
                ) from None
            text = getattr(reason, "strerror", None) or type(reason).__name__
            raise Unreachable(
                f"Slack could not be asked for {method} ({line(text, 200)})",
                may_be_done=not is_no_connection(reason),
            ) from None


class _ThreadGone(Refused):
    """Somebody deleted the message that the thread hung on."""


def _kind(error: SlackApiError, method: str, where: str) -> Exception:
    response = error.response
    status, headers = getattr(response, "status_code", 0), getattr(response, "headers", None) or {}
    data = response if isinstance(response, dict) else getattr(response, "data", None)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    known = re.fullmatch(r"[a-z][a-z0-9_]*", code)
    names = {str(name).title(): str(value) for name, value in headers.items()}
    if status == 429:
        return Busy(
            f"Slack answered 429 for {method}", retry_after(names.get("Retry-After"), datetime.now(UTC))
        )
    if status in (401, 403) and not known:
        kind = Forbidden if status == 403 else Paused
        return kind(f"Slack answered {status} for {method}. Look at {_SETTING}")
    if status >= 500 or not known:
        return Retryable(f"Slack answered {status or 'without JSON'} for {method}")
    if code == "thread_not_found":
        return _ThreadGone(f"Slack answered {code} for {method} in {where}")
    needed = str(data.get("needed") or "") if isinstance(data, dict) else ""
    return slack_error(code, f"{method} in {where}", setting=_SETTING, headers=names, needed=needed)
