"""CRM records as signed webhooks; see `integrations.webhook`."""

from collections.abc import Mapping
from typing import Any

from integrations.config import IntegrationSettings
from integrations.crm.rendering import fields, text
from integrations.destinations import Delivery
from integrations.webhook import WebhookDestination


def open_destination(settings: IntegrationSettings) -> WebhookDestination:
    """A webhook whose content is the record's fields, its `text`, and its contact's id where one is known."""
    return WebhookDestination(settings, "crm", _content)


def _content(delivery: Delivery) -> Mapping[str, Any]:
    values = fields(delivery)
    return {**values, "text": text(delivery, values), "contact_id": delivery.contact_id}
