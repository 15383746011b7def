"""Who must not get a mail although one is due: customers who did not agree, the suppression list, example domains.

How a mail is sent, and whether its address is one at all, is not decided here.
"""

from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.email.templating import ALERT
from integrations.errors import Paused, Skipped

# RFC 2606 and RFC 6761.
_EXAMPLES = frozenset({"example.com", "example.net", "example.org"})
_RESERVED = frozenset({"example", "test", "invalid", "localhost"})
DEFAULT_LIST = "suppressed.txt"


def check(mail: EmailMessage, delivery: Delivery, settings: IntegrationSettings) -> None:
    """Let a mail pass that may go out.

    Raises:
        Skipped: if its recipient did not agree, is on the suppression list or in a domain that is only an example.
        Paused: if the sender is such an example, or the suppression list that was named cannot be read.
    """
    check_wish(mail, delivery, settings)
    recipient, sender = _address(mail, "To"), _address(mail, "From")
    if not settings.email_allow_example_domains:
        if is_example(sender):
            raise Paused(
                f"{sender} cannot send mail: set AFTERCALL_EMAIL_FROM_ADDRESS to an address of yours"
            )
        if is_example(recipient):
            raise Skipped(
                f"{recipient.rpartition('@')[2]} is a domain for examples, and nobody reads mail there"
            )


def check_wish(mail: EmailMessage, delivery: Delivery, settings: IntegrationSettings) -> None:
    """Let a mail pass that its customer has nothing against; who said no gets none, whatever the settings.

    Raises:
        Skipped: if the call's variable `email_consent` says no, or says nothing where consent is required, or if
            the address is on the suppression list.
        Paused: if the suppression list that was named cannot be read.
    """
    if delivery.payload.get("template") == ALERT:
        return
    agreed = delivery.payload.get("email_consent")
    if agreed is False:
        raise Skipped("the customer does not want e-mail (email_consent is no)")
    if settings.email_require_consent and agreed is not True:
        raise Skipped("the customer has not agreed to e-mail (email_consent is not known)")
    recipient, listed = _address(mail, "To"), _suppressed(settings)
    if recipient in listed or f"@{recipient.rpartition('@')[2]}" in listed:
        raise Skipped("the address is on the suppression list")


def is_example(address: str) -> bool:
    """Whether the address's domain is reserved for examples and tests."""
    domain = address.rpartition("@")[2].rstrip(".").lower()
    labels = domain.split(".")
    return labels[-1] in _RESERVED or ".".join(labels[-2:]) in _EXAMPLES


def _address(mail: EmailMessage, header: str) -> str:
    # Local parts are told apart by no mail server of today.
    return str(mail[header].addresses[0].addr_spec).lower()


def _suppressed(settings: IntegrationSettings) -> frozenset[str]:
    path = settings.email_suppression_file or settings.home / DEFAULT_LIST
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        if settings.email_suppression_file is None:
            return frozenset()
        raise Paused(
            "AFTERCALL_EMAIL_SUPPRESSION_FILE names a file that is not there; an empty one is enough"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Paused(
            f"the suppression list cannot be read ({type(error).__name__}); "
            "look at AFTERCALL_EMAIL_SUPPRESSION_FILE"
        ) from None


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int, _size: int) -> frozenset[str]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    entries = (line.partition("#")[0].strip().lower() for line in lines)
    return frozenset(entry for entry in entries if entry)
