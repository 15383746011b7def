"""Slack's incoming webhooks: one URL a Slack channel, no token and no scopes.

    AFTERCALL_SLACK=webhook
    AFTERCALL_SLACK_WEBHOOK_URL=#support=https://hooks.slack.com/services/…,https://hooks.slack.com/services/…

Slack tells nothing of what it made, so a repeat cannot be recognised and nothing goes into a thread; `bot` can both.
"""

import re
from collections.abc import Iterator
from typing import Any

from integrations.config import IntegrationSettings
from integrations.destinations import CheckResult, Delivery, Limits
from integrations.errors import DestinationUnavailable, Forbidden, Rejected, TransientError, Unreachable
from integrations.http import HttpClient, checked_url
from integrations.rendering import line
from integrations.slack.errors import BUSY, MENDABLE, NOT_NOW, WRONG_FOR_ALL, slack_error
from integrations.slack.rendering import message

_SETTING = "AFTERCALL_SLACK_WEBHOOK_URL"
_PAIR = re.compile(r"(?:(?P<channel>[^=:/\s]+)=)?(?P<url>\S+)")
_EVERY_OTHER = ""
_NOTHING_TO_POST = ("no_text", "invalid_payload")
# What chat.postMessage takes beyond this is not for webhooks: the channel is the URL's.
_TAKEN = ("text", "blocks", "unfurl_links", "unfurl_media")


def open_destination(settings: IntegrationSettings) -> "SlackWebhook":
    """The incoming webhooks that the settings name."""
    return SlackWebhook(settings)


class SlackWebhook:
    """A client for each webhook.

    Raises:
        Paused: if no webhook is named, or what is named is no URL.
    """

    name = "webhook"
    can_be_asked = False
    # Slack's word: one message a second for each webhook.
    limits = Limits(concurrency=1, per_second=1.0)

    def __init__(self, settings: IntegrationSettings) -> None:
        self._settings = settings
        self._urls = _urls(settings.slack_webhook_url.get_secret_value())
        self._clients: dict[str, HttpClient] = {}

    def find(self, delivery: Delivery) -> str | None:
        """Always None: an incoming webhook cannot be asked."""
        return None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Post the message; returns the action's key, because Slack gives no id."""
        channel = str(message(delivery, self._settings)["channel"])
        client = self._client(channel)
        try:
            answer = client.request("POST", json=self.body(delivery, external_id))
        except (Rejected, DestinationUnavailable, Forbidden) as error:
            raise self._here(_meant(str(error), channel) or error) from None
        if answer.text.strip() != "ok":
            told = f"Slack's webhook for {channel} answered 200, but not ok: {line(answer.text, 200)}"
            raise self._here(_meant(answer.text, channel) or Unreachable(told, may_be_done=True))
        return f"webhook:{delivery.action_key}"

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """What is posted."""
        made = message(delivery, self._settings)
        return {name: made[name] for name in _TAKEN}

    def check(self) -> Iterator[CheckResult]:
        """Whether each webhook is there: it is asked to post nothing at all, which Slack refuses in its own words."""
        for channel in self._urls:
            named = f"webhook for {channel or 'every other channel'}"
            try:
                self._client(channel or "#").request("POST", json={})
            except Rejected as error:
                is_there = any(word in str(error) for word in _NOTHING_TO_POST)
                told = "Slack knows it" if is_there else str(_meant(str(error), channel) or error)
                yield CheckResult(named, is_there, told)
            except (DestinationUnavailable, TransientError) as error:
                yield CheckResult(named, False, str(_meant(str(error), channel) or error))
            else:
                yield CheckResult(named, False, "something answers at this address that is not Slack")

    def knock(self) -> None:
        """Return if Slack answers at the first of the addresses; posts nothing. Raises Unreachable or Busy."""
        self._client(next(iter(self._urls)) or "#").knock()

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()

    def _here(self, error: Exception) -> Exception:
        """Of several webhooks one may be gone while the others work."""
        is_one_of_many = isinstance(error, DestinationUnavailable) and len(set(self._urls.values())) > 1
        return Forbidden(str(error)) if is_one_of_many else error

    def _client(self, channel: str) -> HttpClient:
        url = self._urls.get(channel.lower()) or self._urls.get(_EVERY_OTHER)
        if url is None:
            raise Forbidden(f"there is no webhook for {channel}: add {channel}=URL to {_SETTING}")
        if url not in self._clients:
            self._clients[url] = HttpClient(
                f"Slack's webhook for {channel}", self._settings, url, setting=_SETTING
            )
        return self._clients[url]


def _urls(setting: str) -> dict[str, str]:
    urls = {}
    for part in (part.strip() for part in setting.split(",")):
        found = _PAIR.fullmatch(part)
        if found:
            urls[(found["channel"] or _EVERY_OTHER).lower()] = checked_url(found["url"], _SETTING)
    if not urls:
        raise DestinationUnavailable(
            f"set {_SETTING} to the URL of an incoming webhook; Slack makes one in the app's settings"
        )
    return urls


def _meant(text: str, channel: str) -> Exception | None:
    """What one of Slack's codes in an answer means; None if there is none of them."""
    codes = set(re.findall(r"[a-z_]+", text)) & (WRONG_FOR_ALL | MENDABLE | NOT_NOW | BUSY)
    return slack_error(min(codes), channel, setting=_SETTING) if codes else None
