"""Slack's incoming webhooks: one URL per Slack channel, no token and no scopes.

    AFTERCALL_CHAT=slack_webhook
    AFTERCALL_SLACK_WEBHOOK_URL=#support=https://hooks.slack.com/services/…,https://hooks.slack.com/services/…

Slack does not say which message it made, so aftercall cannot recognise a repeat or use a thread; `slack_bot` can do
both.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, SecretStr

from integrations.chat.incoming_webhooks import IncomingWebhooks
from integrations.chat.message import channel_of, message
from integrations.chat.slack_message import arguments
from integrations.config import DestinationSettings, IntegrationSettings
from integrations.destinations import CheckResult, Delivery, Limits
from integrations.errors import DestinationUnavailable, Forbidden, Rejected, TransientError, Unreachable
from integrations.rendering import line
from integrations.slack.errors import BUSY, MENDABLE, NOT_NOW, WRONG_FOR_ALL, slack_error

_SETTING = "AFTERCALL_SLACK_WEBHOOK_URL"
_NOTHING_TO_POST = ("no_text", "invalid_payload")
# What chat.postMessage takes beyond this is not for webhooks: the channel is the URL's.
_TAKEN = ("text", "blocks", "unfurl_links", "unfurl_media")


class SlackWebhookSettings(DestinationSettings):
    """Which webhooks there are."""

    slack_webhook_url: SecretStr = Field(
        SecretStr(""),
        description="Incoming webhooks of AFTERCALL_CHAT=slack_webhook, comma separated: #channel=URL, and one URL "
        "alone for every other channel.",
    )


def open_destination(settings: IntegrationSettings) -> "SlackWebhook":
    """The incoming webhooks that the settings name."""
    return SlackWebhook(settings)


class SlackWebhook(IncomingWebhooks):
    """A workspace's webhooks."""

    name = "slack_webhook"
    # Slack's word: one message a second for each webhook.
    limits = Limits(concurrency=1, per_second=1.0)

    def __init__(self, settings: IntegrationSettings) -> None:
        urls = settings.of(SlackWebhookSettings).slack_webhook_url.get_secret_value()
        super().__init__("Slack", settings, urls, _SETTING)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Post the message; returns the action's key, because Slack gives no id."""
        channel = channel_of(delivery)
        client = self.client(channel)
        try:
            answer = client.request("POST", json=self.body(delivery, external_id))
        except (Rejected, DestinationUnavailable, Forbidden) as error:
            raise self.of_one(coded_error(str(error), channel) or error) from None
        if answer.text.strip() != "ok":
            problem = f"Slack's webhook for {channel} answered 200, but not ok: {line(answer.text, 200)}"
            raise self.of_one(coded_error(answer.text, channel) or Unreachable(problem, may_be_done=True))
        return f"webhook:{delivery.action_key}"

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """What is posted."""
        whole = arguments(message(delivery, self._settings))
        return {name: whole[name] for name in _TAKEN}

    def check(self) -> Iterator[CheckResult]:
        """Whether each webhook is there: it is asked to post nothing at all, which Slack refuses in its own words."""
        for channel in self.channels():
            named = f"webhook for {channel or 'every other channel'}"
            try:
                self.client(channel or "#").request("POST", json={})
            except Rejected as error:
                is_known = any(word in str(error) for word in _NOTHING_TO_POST)
                answer = "Slack knows it" if is_known else str(coded_error(str(error), channel) or error)
                yield CheckResult(named, is_known, answer)
            except (DestinationUnavailable, TransientError) as error:
                yield CheckResult(named, False, str(coded_error(str(error), channel) or error))
            else:
                yield CheckResult(named, False, "something answers at this address that is not Slack")


def coded_error(text: str, channel: str) -> Exception | None:
    """The failure kind of the code of Slack's in an answer; None if there is none."""
    codes = set(re.findall(r"[a-z_]+", text)) & (WRONG_FOR_ALL | MENDABLE | NOT_NOW | BUSY)
    return slack_error(min(codes), channel, setting=_SETTING) if codes else None
