"""The gate of a source: whether a request is believed, by where it comes from and how it is signed.

How a platform signs belongs to `receiver.sources`. The sender is told the same whatever was wrong, so that trying
teaches nothing; the reason is for the operator's log and metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.config import ReceiverSettings
from receiver.networks import Network, contains, networks, sender
from receiver.problems import Problem
from receiver.signatures import BadSignature
from receiver.sources import Source

NOT_SIGNED = "the request is not signed as this source requires; the receiver's log has the reason"
NOT_ALLOWED = "this source takes no requests from the sender's network"
_SIGNS_OF_A_PROXY = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a source demands of a request. Keys of headers are lower case."""

    source: Source
    secrets: tuple[str, ...]
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    only_local: bool
    allow_unsigned: bool
    address: str | None

    def admit(self, peer: str, headers: Mapping[str, str]) -> None:
        """Refuse (403) what does not come from the source's networks; with none configured, nothing."""
        if not self.networks:
            return
        if not contains(self.networks, sender(peer, headers.get("x-forwarded-for"), self.proxies)):
            raise Problem(403, NOT_ALLOWED, "network")

    def believe(self, headers: Mapping[str, str], body: bytes, now: float, query: str = "") -> None:
        """Refuse (401) what nobody signed who knows a secret; `now` is in Unix seconds, `query` as it was sent.

        Without a secret only a request from this machine is believed, and one that a proxy handed on is not
        from this machine.
        """
        if self.secrets:
            try:
                self.source.at(self._url(query)).verify(headers, body, self.secrets, now)
            except BadSignature as bad:
                raise Problem(401, NOT_SIGNED, bad.reason) from None
        elif not self.allow_unsigned and not (self.only_local and _SIGNS_OF_A_PROXY.isdisjoint(headers)):
            raise Problem(401, NOT_SIGNED, "no_secret")

    def _url(self, query: str) -> str | None:
        return self.address and f"{self.address}{'?' if query else ''}{query}"


def gate(source: Source, settings: ReceiverSettings) -> Gate:
    """The gate that the settings put before a source."""
    return Gate(
        source=source,
        secrets=settings.secrets_for(source.name),
        networks=settings.networks_for(source.name),
        proxies=networks(settings.trusted_proxies),
        only_local=settings.is_loopback,
        allow_unsigned=settings.receiver_allow_unsigned,
        address=settings.address_of(source.name),
    )
