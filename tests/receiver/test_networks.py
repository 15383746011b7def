"""Who sent a request: the connection, the proxies in front, and what a sender invents about himself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.networks import contains, networks, sender

PROXIES = networks("10.0.0.0/8, 2001:db8:aaaa::/48, 127.0.0.1")
ALLOWED = networks("192.0.2.0/24, 2001:db8:5::/48, 203.0.113.7")


def sender_text(peer: str, forwarded: str | None) -> str | None:
    address = sender(peer, forwarded, PROXIES)
    return None if address is None else str(address)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_nothing_listed_is_no_network(text: str) -> None:
    assert networks(text) == ()


@pytest.mark.parametrize(
    "text", ["10.0.0", "10.0.0.0/33", "example.com", "10.0.0.0/8;::1", "::/129", "*", "\u0661.0.0.0/8"]
)
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no network; write for example"):
        networks(f"192.0.2.0/24,{text}")


def test_an_address_inside_a_network_is_named_with_both_ways_out() -> None:
    with pytest.raises(ValueError, match=r"write 10\.0\.0\.0/8, or the address alone"):
        networks("10.1.2.3/8")
    assert networks("10.1.2.3/32") == networks("10.1.2.3")
    assert networks("2001:DB8::0/32") == networks("2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        # nobody in between
        ("192.0.2.7", None, "192.0.2.7"),
        ("2001:db8:5::1", None, "2001:db8:5::1"),
        ("::ffff:192.0.2.7", None, "192.0.2.7"),
        # a stranger's header is not believed
        ("198.51.100.1", "192.0.2.7", "198.51.100.1"),
        ("198.51.100.1", "192.0.2.7, 10.0.0.1", "198.51.100.1"),
        # one proxy, then two
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("2001:db8:aaaa::1", "2001:db8:5::1", "2001:db8:5::1"),
        ("10.0.0.1", "192.0.2.7, 10.9.9.9", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7,2001:db8:aaaa::2 ,  10.9.9.9", "192.0.2.7"),
        # the sender wrote the left part, our proxy the last address
        ("10.0.0.1", "192.0.2.7, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.1, 192.0.2.7, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "junk, \x00, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        # with ports, as some proxies write them
        ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("10.0.0.1", "[2001:db8:5::1]:4711", "2001:db8:5::1"),
        ("10.0.0.1", "[2001:db8:5::1]", "2001:db8:5::1"),
        ("10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        # everything is a proxy of ours: the one furthest away
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # what our proxy wrote cannot be read: unknown, whatever stands left of it
        ("10.0.0.1", None, None),
        ("10.0.0.1", "", None),
        ("10.0.0.1", "192.0.2.7,", None),
        ("10.0.0.1", "192.0.2.7, unknown", None),
        ("10.0.0.1", "192.0.2.7, _hidden", None),
        ("10.0.0.1", "192.0.2.7 10.0.0.2", None),
        ("10.0.0.1", "192.0.2.7;192.0.2.8", None),
        ("10.0.0.1", "for=192.0.2.7", None),
        ("10.0.0.1", '"192.0.2.7"', None),
        ("10.0.0.1", "192.0.2.007", None),
        ("10.0.0.1", "3221225991", None),
        ("10.0.0.1", "192.0.2.7/32", None),
        ("10.0.0.1", "192.0.2.7:x", None),
        ("10.0.0.1", "[192.0.2.7", None),
        ("10.0.0.1", "\uff11\uff19\uff12.0.2.7", None),
        # no address at the other end, such as a Unix socket
        ("", "192.0.2.7", None),
    ],
)  # fmt: skip
def test_sender(peer: str, forwarded: str | None, expected: str | None) -> None:
    assert sender_text(peer, forwarded) == expected


def test_the_zone_of_a_link_local_address_does_not_matter() -> None:
    assert contains(networks("fe80::/10"), sender("fe80::1%eth0", None, PROXIES))
    assert not contains(ALLOWED, sender("fe80::1%192.0.2.7", None, PROXIES))


def test_what_stands_in_the_list() -> None:
    for inside in ("192.0.2.0", "192.0.2.255", "203.0.113.7", "2001:db8:5::ffff", "::ffff:192.0.2.9"):
        assert contains(ALLOWED, sender(inside, None, ()))
    for outside in ("192.0.3.0", "203.0.113.8", "2001:db8:6::1", "::192.0.2.9", "::1", "127.0.0.1", ""):
        assert not contains(ALLOWED, sender(outside, None, ()))
    assert not contains((), sender("192.0.2.1", None, ()))


INVENTED = st.lists(st.text() | st.sampled_from(["192.0.2.7", "10.0.0.1", "2001:db8:5::1", "unknown"])).map(
    ",".join
)


@given(INVENTED)
def test_nothing_a_stranger_invents_lets_him_in(invented: str) -> None:
    assert not contains(ALLOWED, sender("198.51.100.1", invented, PROXIES))
    assert not contains(ALLOWED, sender("10.0.0.1", f"{invented}, 198.51.100.1", PROXIES))
    assert not contains(ALLOWED, sender("10.0.0.1", f"{invented},198.51.100.1, 10.2.3.4", PROXIES))


@given(st.text(), st.none() | st.text())
def test_no_address_and_no_header_raise(peer: str, forwarded: str | None) -> None:
    sender(peer, forwarded, PROXIES)
    sender("10.0.0.1", forwarded, PROXIES)
