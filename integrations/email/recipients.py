"""Who must not get a mail although one is due: domains that are only examples, and the suppression list.

How a mail is sent, and whether its address is one at all, is not decided here.
"""

from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path

from integrations.config import IntegrationSettings
from integrations.errors import Paused, Skipped

# RFC 2606 and RFC 6761.
_EXAMPLES = frozenset({"example.com", "example.net", "example.org"})
_RESERVED = frozenset({"example", "test", "invalid", "localhost"})
DEFAULT_LIST = "suppressed.txt"


def check(mail: EmailMessage, settings: IntegrationSettings) -> None:
    """Let a mail pass that may go out.

    Raises:
        Skipped: if its recipient is on the suppression list or in a domain that is only an example.
        Paused: if the sender is such an example, or the suppression list that was named cannot be read.
    """
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
    listed = _suppressed(settings)
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
