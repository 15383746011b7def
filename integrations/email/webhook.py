"""E-mails as signed webhooks, for a service that sends them; see `integrations.webhook`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.email.recipients import permitted
from integrations.email.rendering import bodies
from integrations.webhook import WebhookDestination


def open_destination(settings: IntegrationSettings) -> WebhookDestination:
    """A webhook whose content is the mail's headers and its two bodies."""
    return WebhookDestination(settings, "email", partial(_content, settings=settings))


def _content(delivery: Delivery, settings: IntegrationSettings) -> Mapping[str, Any]:
    mail = permitted(delivery, settings)
    text, html = bodies(mail)
    # The date is that of the try, and would make another content of every one.
    headers = {name.lower().replace("-", "_"): str(value) for name, value in mail.items() if name != "Date"}
    passed_on = (
        "from",
        "to",
        "reply_to",
        "subject",
        "message_id",
        "list_unsubscribe",
        "list_unsubscribe_post",
    )
    return {name: headers[name] for name in passed_on if name in headers} | {
        "text": text,
        "html": html,
    }
