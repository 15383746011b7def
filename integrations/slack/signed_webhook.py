"""Slack's messages as signed webhooks, for a service that is not Slack; see `integrations.webhook`.

`webhook` in this channel is Slack's own incoming webhook.
"""

from functools import partial

from integrations.config import IntegrationSettings
from integrations.slack.rendering import message
from integrations.webhook import WebhookDestination


def open_destination(settings: IntegrationSettings) -> WebhookDestination:
    """A webhook whose content is the arguments of `chat.postMessage`."""
    return WebhookDestination(settings, "slack", partial(message, settings=settings), "signed_webhook")
