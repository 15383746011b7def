"""The default destination of the email channel: keeps the whole message in the outbox."""

from functools import partial

from integrations.config import IntegrationSettings
from integrations.email.rendering import render
from integrations.outbox.previews import PreviewDestination


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the email channel."""
    return PreviewDestination(partial(render, settings=settings))
