"""The default destination of the ticket channel: keeps what would go out in the outbox."""

from functools import partial

from integrations.config import IntegrationSettings
from integrations.outbox import PreviewDestination
from integrations.ticket.rendering import render


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the ticket channel."""
    return PreviewDestination(partial(render, board_url=settings.board_url))
