"""The default destination of the slack channel: keeps what would go out in the outbox."""

from functools import partial

from integrations.config import IntegrationSettings
from integrations.outbox import PreviewDestination
from integrations.slack.rendering import render


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the slack channel."""
    return PreviewDestination(partial(render, settings=settings))
