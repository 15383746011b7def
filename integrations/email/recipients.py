"""Who must not get a mail although one is due.

Customers who did not agree, the suppression list, domains for examples; and, where the operator wants that, addresses
that the CRM does not hold.

How a mail is sent, and whether its address is one at all, is not decided here.
"""

import threading
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path

from integrations import destinations
from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, KnowsAddresses
from integrations.email.rendering import message, recipient
from integrations.email.templating import ALERT
from integrations.errors import DestinationUnavailable, Rejected, Suppressed, TransientError
from integrations.rendering import line

# RFC 2606 and RFC 6761.
_EXAMPLES = frozenset({"example.com", "example.net", "example.org"})
_RESERVED = frozenset({"example", "test", "invalid", "localhost"})
DEFAULT_LIST = "suppressed.txt"
_opened = threading.local()


def permitted(delivery: Delivery, settings: IntegrationSettings) -> EmailMessage:
    """The mail of an action, if it may go out.

    Raises:
        Unsendable: if the template does not exist.
        Suppressed: if it has no address, or its recipient did not agree, is on the suppression list or in a domain
            that is only an example.
        DestinationUnavailable: if the sender is such an example, a template or a setting of the brand is broken, or
            the suppression list that was named cannot be read.
    """
    mail = message(delivery, settings)
    check_wish(delivery, settings)
    if settings.email_allow_example_domains:
        return mail
    if is_example(settings.email_from_address):
        raise DestinationUnavailable(
            f"{settings.email_from_address} cannot send mail: set AFTERCALL_EMAIL_FROM_ADDRESS to an address of yours"
        )
    address = _address(delivery)
    if is_example(address):
        raise Suppressed(
            f"{address.rpartition('@')[2]} is a domain for examples, and nobody reads mail there"
        )
    return mail


def check_wish(delivery: Delivery, settings: IntegrationSettings) -> None:
    """Let a mail pass that its customer has nothing against; who said no gets none, whatever the settings.

    Raises:
        Suppressed: if the call's variable `email_consent` says no, or says nothing where consent is required, if there
            is no address, if it is on the suppression list, or if only known addresses are written to and it is none.
        DestinationUnavailable: if the suppression list that was named cannot be read, or no CRM says which addresses
            are known.
    """
    if delivery.payload.get("template") == ALERT:
        return
    agreed = delivery.payload.get("email_consent")
    if agreed is False:
        raise Suppressed("the customer does not want e-mail (email_consent is no)")
    if settings.email_require_consent and agreed is not True:
        raise Suppressed("the customer has not agreed to e-mail (email_consent is not known)")
    address, listed = _address(delivery), _suppressed(settings)
    if address in listed or f"@{address.rpartition('@')[2]}" in listed:
        raise Suppressed("the address is on the suppression list")
    if settings.email_only_known and address not in _known(delivery, settings):
        raise Suppressed("the CRM does not hold this address for the caller's number")


def _known(delivery: Delivery, settings: IntegrationSettings) -> frozenset[str]:
    """The addresses that the configured CRMs hold for the caller's number.

    Raises:
        DestinationUnavailable: if no CRM can be asked, or one does not answer: no mail could go out.
    """
    phone, known = line(delivery.payload.get("customer_phone"), 32), frozenset[str]()
    crms = _crms(settings)
    if not crms:
        raise DestinationUnavailable(
            "AFTERCALL_EMAIL_ONLY_KNOWN needs a CRM that can be asked: set AFTERCALL_CRM, or turn it off"
        )
    for crm in crms if phone else ():
        try:
            known |= crm.addresses(phone)
        except (TransientError, Rejected) as error:
            raise DestinationUnavailable(
                f"{crm.name} does not say which addresses it holds, which AFTERCALL_EMAIL_ONLY_KNOWN needs: {error}"
            ) from None
    return known


def _crms(settings: IntegrationSettings) -> list[KnowsAddresses]:
    """The configured CRMs that can be asked, opened once per thread: a login per mail would be too many."""
    if getattr(_opened, "settings", None) is not settings:
        opened = [
            destinations.open_destination("crm", settings, name) for name in settings.destinations_of("crm")
        ]
        _opened.crms = [crm for crm in opened if isinstance(crm, KnowsAddresses)]
        _opened.settings = settings
    crms: list[KnowsAddresses] = _opened.crms
    return crms


def is_example(address: str) -> bool:
    """Whether the address's domain is reserved for examples and tests."""
    domain = address.rpartition("@")[2].rstrip(".").lower()
    labels = domain.split(".")
    return labels[-1] in _RESERVED or ".".join(labels[-2:]) in _EXAMPLES


def _address(delivery: Delivery) -> str:
    # No mail server in use distinguishes upper and lower case in local parts.
    return recipient(delivery).addr_spec.lower()


def _suppressed(settings: IntegrationSettings) -> frozenset[str]:
    path = settings.email_suppression_file or settings.home / DEFAULT_LIST
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        if settings.email_suppression_file is None:
            return frozenset()
        raise DestinationUnavailable(
            "AFTERCALL_EMAIL_SUPPRESSION_FILE names a file that is not there; an empty one is enough"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationUnavailable(
            f"the suppression list cannot be read ({type(error).__name__}); "
            "look at AFTERCALL_EMAIL_SUPPRESSION_FILE"
        ) from None


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int, _size: int) -> frozenset[str]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    entries = (line.partition("#")[0].strip().lower() for line in lines)
    return frozenset(entry for entry in entries if entry)
