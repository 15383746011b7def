"""What every way of sending mail looks at before the first one: the sender, the brand and every template.

Whether the system takes our mail is its destination's own question.
"""

from collections.abc import Iterator

from integrations.config import IntegrationSettings
from integrations.destinations import CheckResult
from integrations.email.brand import brand
from integrations.email.recipients import is_example
from integrations.email.templating import TEMPLATES, broken, languages
from integrations.errors import DestinationUnavailable


def content(settings: IntegrationSettings) -> Iterator[CheckResult]:
    """Findings about what would be sent; renders every template, sends nothing."""
    sender = settings.email_from_address
    if is_example(sender) and not settings.email_allow_example_domains:
        yield CheckResult("sender", False, f"{sender} cannot send mail: set AFTERCALL_EMAIL_FROM_ADDRESS")
    else:
        yield CheckResult("sender", True, f"{settings.email_from_name} <{sender}>")
    try:
        whose = brand(settings)
    except DestinationUnavailable as error:
        yield CheckResult("brand", False, str(error))
        return
    yield CheckResult("brand", True, whose.name)
    wrong = list(broken(settings, whose))
    for problem in wrong:
        yield CheckResult("templates", False, problem)
    if not wrong:
        yield CheckResult("templates", True, f"{len(TEMPLATES)} mails in {', '.join(languages(settings))}")
