"""The sender's address of a request, and lists of networks.

Which source may send from where is in the settings; the answer to others belongs to `receiver.auth`.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711
_WITH_PORT = re.compile(r"\[([0-9a-fA-F:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list of CIDR blocks and addresses.

    Raises ValueError, which names the entry that is neither.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def contains(listed: Iterable[Network], address: Address | None) -> bool:
    """True if one of the networks contains the address; False for an unknown address."""
    return address is not None and any(address in network for network in listed)


def is_loopback(host: str) -> bool:
    """True if only this machine can reach a listener on `host`; of names, only localhost counts."""
    address = address_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def sender(peer: str, forwarded: str | None, proxies: Iterable[Network]) -> Address | None:
    """The address of a request's sender; None if unknown.

    `peer` is the other end of the connection, `forwarded` the joined values of `X-Forwarded-For`, None without it.
    Only a trusted proxy's header counts. Each proxy appends the address that called it, so the sender is the first
    address from the right that is not a trusted proxy; what stands left of it may be forged. Without the header a
    trusted proxy leaves the sender unknown: the server drops a header that is not ASCII, and a sender could hide so.
    """
    address = address_of(peer)
    if not contains(proxies, address):
        return address
    if forwarded is None:
        return None
    for entry in reversed(forwarded.split(",")):
        address = address_of(entry.strip())
        if not contains(proxies, address):
            return address
    return address


def _network(text: str) -> Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is no network; write for example 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"
        ) from None
    if str(network.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError(f"{text!r} is an address inside a network; write {network}, or the address alone")
    return network


def address_of(text: str) -> Address | None:
    """The address in a text, as IPv4 if it is IPv4 inside IPv6; None if there is none."""
    if ported := _WITH_PORT.fullmatch(text):
        text = ported[1] or ported[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
