"""Tickets as signed webhooks; see `integrations.webhook`."""

from integrations.config import IntegrationSettings
from integrations.ticket.rendering import fields, ticket_of
from integrations.webhook import WebhookDestination


def open_destination(settings: IntegrationSettings) -> WebhookDestination:
    """A webhook whose content is the ticket's fields."""
    return WebhookDestination(
        settings, "ticket", lambda delivery: fields(ticket_of(delivery, settings.board_url))
    )
