"""Chat messages as signed webhooks, for a service of your own; see `integrations.webhook`.

The name is not `webhook` as in the other channels, because that meant Slack's incoming webhooks here.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from integrations.chat.message import message
from integrations.chat.slack_message import arguments
from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.webhook import WebhookDestination


def open_destination(settings: IntegrationSettings) -> WebhookDestination:
    """A webhook whose content is the arguments of Slack's `chat.postMessage`, as receivers know them."""
    return WebhookDestination(settings, "chat", partial(_content, settings=settings), "signed_webhook")


def _content(delivery: Delivery, settings: IntegrationSettings) -> Mapping[str, Any]:
    return arguments(message(delivery, settings))
