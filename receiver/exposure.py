"""Who can send unsigned events, by the settings; for authentication, the log and `aftercall doctor`.

How a request shows where it comes from belongs to `receiver.auth`.
"""

from enum import StrEnum

from receiver.config import ReceiverSettings
from receiver.sources import SOURCES


class UnsignedFrom(StrEnum):
    """Who can send unsigned events of a source."""

    NOBODY = "nobody"
    THIS_MACHINE = "programs of this machine"
    ANYBODY = "anybody who reaches the receiver"


def unsigned_from(settings: ReceiverSettings, source: str) -> UnsignedFrom:
    """Who can send unsigned events of a source."""
    if settings.secrets_for(source):
        return UnsignedFrom.NOBODY
    if settings.receiver_allow_unsigned:
        return UnsignedFrom.ANYBODY
    return UnsignedFrom.THIS_MACHINE if settings.is_loopback else UnsignedFrom.NOBODY


def open_sources(settings: ReceiverSettings) -> dict[str, UnsignedFrom]:
    """The sources that accept unsigned events, by name, and from whom."""
    senders = {name: unsigned_from(settings, name) for name in sorted(SOURCES)}
    return {name: who for name, who in senders.items() if who is not UnsignedFrom.NOBODY}
