"""The default destination of the chat channel: keeps the message in the outbox."""

from functools import partial

from integrations.chat.message import render
from integrations.config import IntegrationSettings
from integrations.outbox import PreviewDestination


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the chat channel."""
    return PreviewDestination(partial(render, settings=settings))
