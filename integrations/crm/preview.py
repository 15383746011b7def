"""The default destination of the crm channel: keeps what would go out in the outbox."""

from integrations.config import IntegrationSettings
from integrations.crm.rendering import render
from integrations.outbox import PreviewDestination


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the crm channel."""
    return PreviewDestination(render)
