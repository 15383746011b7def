"""Authentication: which requests a source accepts, by their network and their signature.

How a platform signs belongs to `receiver.sources`; which sources take unsigned events, to `receiver.exposure`. The
answer to a sender elsewhere does not say what was wrong: the log and the metrics do. The answer to a program on this
machine names the setting to change.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from receiver.config import SECRET_PREFIX, ReceiverSettings, setting_name
from receiver.exposure import UnsignedFrom, unsigned_from
from receiver.http_errors import HttpError
from receiver.networks import Network, contains, is_loopback, networks, sender
from receiver.signatures import BadSignature
from receiver.sources import Source

NOT_SIGNED = "the request is not signed as this source requires; the receiver's log has the reason"
NOT_ALLOWED = "this source takes no requests from the sender's network"
_OF_A_BROWSER = "unsigned events are not taken from a web page (Origin, Sec-Fetch-*); {remedy}"
_OTHER_HOST = "unsigned events are taken at the names localhost, 127.0.0.1 and [::1] only; {remedy}"
_SIGNED_ONLY = "this source takes signed events only, and has no secret yet; {remedy}"
_SIGNS_OF_A_PROXY = frozenset(
    {
        "cdn-loop",
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-url",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-rewrite-url",
    }
)
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9A-Za-z.-]+))(?::[0-9]{1,5})?", re.ASCII)
_FORWARDED, _FETCH = "x-forwarded", "sec-fetch-"


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """What a source requires of a request. Keys of headers are lower case."""

    source: Source
    secrets: tuple[str, ...]
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    unsigned: UnsignedFrom
    listens_on_loopback: bool
    unproven_bytes: int
    address: str | None

    def check_network(self, peer: str, headers: Mapping[str, str]) -> None:
        """Raise HttpError (403) if the sender is outside the networks configured for the source."""
        if not self.networks:
            return
        if not contains(self.networks, sender(peer, headers.get("x-forwarded-for"), self.proxies)):
            raise HttpError(403, NOT_ALLOWED, "network")

    def check_signature(self, headers: Mapping[str, str], body: bytes, now: float, query: str = "") -> None:
        """Raise HttpError (401) unless a secret of the source signed the request. `now` is in Unix seconds.

        Raise HttpError (413) if a body that must be parsed before its signature can be checked exceeds its limit.
        """
        if not self.secrets:
            self._check_unsigned(headers)
            return
        if self.source.reads_before_verifying and len(body) > self.unproven_bytes:
            raise HttpError(
                413,
                f"a body of this source may have {self.unproven_bytes} bytes (AFTERCALL_RECEIVER_UNPROVEN_BYTES)",
            )
        try:
            self.source.at(self._url(query)).verify(headers, body, self.secrets, now)
        except BadSignature as bad:
            raise HttpError(401, NOT_SIGNED, bad.reason) from None

    def _check_unsigned(self, headers: Mapping[str, str]) -> None:
        """Raise HttpError (401) unless a program on this machine sent the request, or the operator allows everybody.

        Always raises for a web page in a browser on this machine: a stranger wrote the page. The headers that browsers
        add give it away, or the host name it uses.
        """
        if "origin" in headers or any(name.startswith(_FETCH) for name in headers):
            raise self._refusal(401, _OF_A_BROWSER, "browser")
        if self.unsigned is UnsignedFrom.ANYBODY:
            return
        if any(name in _SIGNS_OF_A_PROXY or name.startswith(_FORWARDED) for name in headers):
            raise HttpError(401, NOT_SIGNED, "no_secret")
        is_local = is_loopback(_name_of(headers.get("host", "")))
        if self.unsigned is UnsignedFrom.NOBODY:
            if is_local and self.listens_on_loopback:
                raise self._refusal(401, _SIGNED_ONLY, "no_secret")
            raise HttpError(401, NOT_SIGNED, "no_secret")
        if not is_local:
            raise self._refusal(401, _OTHER_HOST, "host")

    def _refusal(self, status: int, detail: str, reason: str) -> HttpError:
        setting = f"{SECRET_PREFIX}{setting_name(self.source.name).upper()}"
        remedy = f"set {setting} to the source's signing secret (aftercall connect {self.source.name})"
        return HttpError(status, detail.format(remedy=remedy), reason)

    def _url(self, query: str) -> str | None:
        return self.address and f"{self.address}{'?' if query else ''}{query}"


def auth_policy(source: Source, settings: ReceiverSettings) -> AuthPolicy:
    """The policy that the settings define for a source."""
    return AuthPolicy(
        source=source,
        secrets=settings.secrets_for(source.name),
        networks=settings.networks_for(source.name),
        proxies=networks(settings.trusted_proxies),
        unsigned=unsigned_from(settings, source.name),
        listens_on_loopback=is_loopback(settings.host),
        unproven_bytes=settings.receiver_unproven_bytes,
        address=settings.address_of(source.name),
    )


def _name_of(host: str) -> str:
    """The name or address in a Host header, without its port; empty if the header is malformed."""
    parts = _HOST.fullmatch(host)
    return (parts[1] or parts[2]) if parts else ""
