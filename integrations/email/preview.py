"""The default destination of the email channel: keeps the whole message in the outbox.

Who wants no mail is skipped here too; example domains are not, because nothing leaves the machine.
"""

from functools import partial

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.email.recipients import check_wish
from integrations.email.rendering import message, rendered
from integrations.outbox import PreviewDestination
from integrations.rendering import Rendered


def open_destination(settings: IntegrationSettings) -> PreviewDestination:
    """A preview of the email channel."""
    return PreviewDestination(partial(_wanted, settings=settings))


def _wanted(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    mail = message(delivery, settings)
    check_wish(mail, delivery, settings)
    return rendered(mail)
