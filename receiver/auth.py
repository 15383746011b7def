"""The gate of a source: whether a request is believed, by where it comes from and how it is signed.

How a platform signs belongs to `receiver.sources`, which sources take unsigned events to `receiver.exposure`. A sender
from elsewhere learns nothing of what was wrong; the reason is for the operator's log and metrics. A program of this
machine is told which setting to set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from receiver.config import SECRET_PREFIX, ReceiverSettings, setting_name
from receiver.exposure import UnsignedFrom, unsigned_from
from receiver.http_errors import Problem
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
class Gate:
    """What a source demands of a request. Keys of headers are lower case."""

    source: Source
    secrets: tuple[str, ...]
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    unsigned: UnsignedFrom
    listens_on_loopback: bool
    unproven_bytes: int
    address: str | None

    def admit(self, peer: str, headers: Mapping[str, str]) -> None:
        """Refuse (403) what does not come from the source's networks; with none configured, nothing."""
        if not self.networks:
            return
        if not contains(self.networks, sender(peer, headers.get("x-forwarded-for"), self.proxies)):
            raise Problem(403, NOT_ALLOWED, "network")

    def believe(self, headers: Mapping[str, str], body: bytes, now: float, query: str = "") -> None:
        """Refuse (401) what nobody signed who knows a secret; `now` is in Unix seconds, `query` as it was sent.

        Refuse (413) a body that would have to be parsed before it is believed, over the limit for such bodies.
        """
        if not self.secrets:
            self._believe_unsigned(headers)
            return
        if self.source.reads_before_verifying and len(body) > self.unproven_bytes:
            raise Problem(
                413,
                f"a body of this source may have {self.unproven_bytes} bytes (AFTERCALL_RECEIVER_UNPROVEN_BYTES)",
            )
        try:
            self.source.at(self._url(query)).verify(headers, body, self.secrets, now)
        except BadSignature as bad:
            raise Problem(401, NOT_SIGNED, bad.reason) from None

    def _believe_unsigned(self, headers: Mapping[str, str]) -> None:
        """Refuse (401) what does not come from a program of this machine, unless the operator takes everything.

        A page in a browser of this machine comes from a stranger, so it is refused in any case: by the headers that
        browsers add, or by its own name for this machine.
        """
        if "origin" in headers or any(name.startswith(_FETCH) for name in headers):
            raise self._refusal(401, _OF_A_BROWSER, "browser")
        if self.unsigned is UnsignedFrom.ANYBODY:
            return
        if any(name in _SIGNS_OF_A_PROXY or name.startswith(_FORWARDED) for name in headers):
            raise Problem(401, NOT_SIGNED, "no_secret")
        is_local = is_loopback(_name_of(headers.get("host", "")))
        if self.unsigned is UnsignedFrom.NOBODY:
            if is_local and self.listens_on_loopback:
                raise self._refusal(401, _SIGNED_ONLY, "no_secret")
            raise Problem(401, NOT_SIGNED, "no_secret")
        if not is_local:
            raise self._refusal(401, _OTHER_HOST, "host")

    def _refusal(self, status: int, detail: str, reason: str) -> Problem:
        setting = f"{SECRET_PREFIX}{setting_name(self.source.name).upper()}"
        remedy = f"set {setting} to the source's signing secret (aftercall connect {self.source.name})"
        return Problem(status, detail.format(remedy=remedy), reason)

    def _url(self, query: str) -> str | None:
        return self.address and f"{self.address}{'?' if query else ''}{query}"


def gate(source: Source, settings: ReceiverSettings) -> Gate:
    """The gate that the settings put before a source."""
    return Gate(
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
    """The name or address in a Host header, without its port; empty if the header is none."""
    parts = _HOST.fullmatch(host)
    return (parts[1] or parts[2]) if parts else ""
