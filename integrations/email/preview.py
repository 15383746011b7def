"""The default destination of the email channel: keeps the whole message in the outbox.

Who wants no mail is skipped here too; example domains are not, because nothing leaves the machine.
"""

from functools import partial

from integrations.config import IntegrationSettings
from integrations.email.recipients import check_wish
from integrations.email.rendering import render
from integrations.outbox import PreviewDestination


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the email channel."""
    return PreviewDestination(partial(render, settings=settings), partial(check_wish, settings=settings))
