"""Who is believed, seen from outside: a real receiver, real headers, and what it tells strangers and operators."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from standardwebhooks import Webhook

from receiver.config import ReceiverSettings
from receiver.landing import open_landing
from receiver.signatures import hmac_sha256_hex

Start = Callable[..., tuple[str, Path, subprocess.Popen[bytes]]]
BODY = b'{"type": "call.end", "timestamp": "2026-11-02T08:00:33Z", "data": {"call_id": "c1"}}'
NEW, OLD = "whsec_bmV3LXNlY3JldC1vZi10aGlzLXRlc3Q=", "whsec_b2xkLXNlY3JldC1vZi10aGlzLXRlc3Q="


@pytest.fixture(scope="module")
def guarded(start_receiver: Start) -> tuple[str, Path]:
    url, home, _ = start_receiver(secret_atoms="new,old", secret_generic=f"{NEW},{OLD}")
    return url, home


@pytest.fixture(scope="module")
def behind_proxy(start_receiver: Start) -> tuple[str, Path]:
    """Behind a proxy on this machine; Atoms may send from two networks and from here, others from anywhere."""
    url, home, _ = start_receiver(
        allow_from_atoms="192.0.2.0/24, 2001:db8:5::/48, 127.0.0.1",
        trusted_proxies="127.0.0.1, 10.0.0.0/8",
        receiver_allow_unsigned="1",
    )
    return url, home


def post(
    url: str, source: str, headers: dict[str, str] | None = None, body: bytes = BODY
) -> requests.Response:
    return requests.post(
        f"{url}/webhooks/{source}",
        data=body,
        headers={"Content-Type": "application/json"} | (headers or {}),
        timeout=30,
    )


def raw(url: str, source: str, headers: bytes, body: bytes = BODY) -> bytes:
    """Headers exactly as given, which no client library would send so."""
    address = urlsplit(url)
    head = b"POST /webhooks/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    request = head % source.encode() + b"Content-Length: %d\r\n" % len(body) + headers + b"\r\n" + body
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(request)
        return connection.makefile("rb").read()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def landed(home: Path) -> int:
    store = open_landing(home)
    return sum(store.read(segment.path).data.count(b"\n") for segment in store.segments())


def logged(home: Path, count: int) -> list[dict[str, Any]]:
    """The last `count` answers in the log, which is written a moment later than they are given."""
    deadline = time.monotonic() + 20
    while True:
        lines = (home / "log").read_text().splitlines()
        answers = [entry for entry in map(json.loads, lines) if "status" in entry]
        if len(answers) >= count:
            return answers[len(answers) - count :]
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)


def refusals(url: str) -> dict[str, int]:
    text = requests.get(f"{url}/metrics", timeout=20).text
    pattern = r'aftercall_receiver_refused_total\{reason="(\w+)",source="(\w+)"\} (\d+)'
    return {f"{source} {reason}": int(count) for reason, source, count in re.findall(pattern, text)}


def signed(
    secret: str = NEW, minutes: int = 0, identity: str = "msg_1", body: bytes = BODY
) -> dict[str, str]:
    when = datetime.now(UTC) + timedelta(minutes=minutes)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign(identity, when, body.decode()),
    }


def test_every_secret_of_a_rotation_is_taken(guarded: tuple[str, Path]) -> None:
    url, home = guarded
    before = landed(home)
    for secret in (NEW, OLD):
        assert post(url, "generic", signed(secret)).status_code == 200
    for secret in ("new", "old"):
        assert post(url, "atoms", {"X-Signature": hmac_sha256_hex(secret, BODY)}).status_code == 200
    assert landed(home) == before + 4


def test_what_was_wrong_is_for_the_operator_alone(guarded: tuple[str, Path]) -> None:
    url, home = guarded
    before = landed(home), refusals(url)
    tries = {
        "generic missing": {},
        "generic malformed": signed() | {"webhook-timestamp": "12e3"},
        "generic wrong": signed("whsec_b3RoZXI="),
        "generic expired": signed(minutes=-6),
        "atoms missing": {},
        "atoms malformed": {"X-Signature": "sha256=z"},
        "atoms wrong": {"X-Atoms-Signature": "sha256=" + hmac_sha256_hex("other", BODY)},
    }
    answers = set()
    for name, headers in tries.items():
        source = name.partition(" ")[0]
        answer = raw(url, source, b"".join(f"{key}: {value}\r\n".encode() for key, value in headers.items()))
        assert status(answer) == 401, name
        answers.add(re.sub(rb"(?im)^(date|x-request-id): .*\r\n", b"", answer))
    assert len(answers) == 1
    only_answer = answers.pop().decode().lower()
    assert not any(
        word in only_answer for word in ("missing", "malformed", "wrong", "expired", "secret", "aftercall")
    )
    after = refusals(url)
    assert {name: after[name] - before[1].get(name, 0) for name in tries} == dict.fromkeys(tries, 1)
    reasons = [entry["reason"] for entry in logged(home, len(tries)) if entry["status"] == 401]
    assert reasons == [name.partition(" ")[2] for name in tries]
    assert landed(home) == before[0]


def test_no_secret_is_answered_like_a_wrong_signature(
    guarded: tuple[str, Path], start_receiver: Start
) -> None:
    url, home, _ = start_receiver(host="0.0.0.0")
    assert post(url, "atoms").content == post(guarded[0], "atoms").content
    assert refusals(url) == {"atoms no_secret": 1}
    assert "AFTERCALL_SECRET_ATOMS" in (home / "log").read_text()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (b"X-Signature: {right}\r\n", 200),
        (b"x-SIGNATURE:    {right}   \r\n", 200),
        (b"X-Signature: {right}\r\nX-Atoms-Signature: nonsense\r\n", 200),
        (b"X-Signature: {right}\r\nX-Signature: {right}\r\n", 401),
        (b"X-Signature: {wrong}\r\nX-Signature: {right}\r\n", 401),
        (b"X-Signature: {right}\r\nX-Signature: {wrong}\r\n", 401),
        (b"X-Signature: {right}\r\nX_Signature: {wrong}\r\n", 200),
        (b"X_Signature: {right}\r\n", 401),
        (b"X-Signature: {right}{right}\r\n", 401),
        (b"X-Signature: \r\n", 401),
        (b"X-Signature: \xff\xfe\r\n", 401),
        (b"X-Signature: " + b"a" * 60_000 + b"\r\n", 401),
        (b"X-Signature: " + b"a" * 1_000_000 + b"\r\n", 431),
        (b"".join(b"X-Number-%d: 1\r\n" % n for n in range(300)) + b"X-Signature: {right}\r\n", 431),
        (b"X-Signature: {right}\x00\r\n", 400),
        (b"X-Signature: x\r\n {right}\r\n", 400),
        (b"X-Signature: x\rX-Signature: {right}\r\n", 400),
    ],
)
def test_hostile_headers(guarded: tuple[str, Path], headers: bytes, expected: int) -> None:
    url, home = guarded
    before = landed(home)
    sent = headers.replace(b"{right}", hmac_sha256_hex("new", BODY).encode()).replace(b"{wrong}", b"0" * 64)
    assert status(raw(url, "atoms", sent)) == expected
    assert landed(home) == before + (expected == 200)


def test_verified_before_it_is_parsed(guarded: tuple[str, Path]) -> None:
    url, _ = guarded
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        assert post(url, "atoms", body=body).status_code == 401
        assert post(url, "atoms", {"X-Signature": hmac_sha256_hex("new", body)}, body).status_code == 400


def test_a_header_cannot_write_into_the_log_or_the_answer(start_receiver: Start) -> None:
    url, home, _ = start_receiver()
    answer = raw(url, "generic", b'webhook-id: m1\t{"status":200}\x85\r\n')
    assert status(answer) == 200
    assert b"webhook-id" not in answer.lower()
    identity = json.loads(answer.partition(b"\r\n\r\n")[2])["event_id"]
    assert identity.startswith("sha256:")
    answer = raw(url, "x%0D%0AX-Injected:%201", b"")
    assert status(answer) == 404
    assert b"x-injected" not in answer.lower()
    assert [entry["status"] for entry in logged(home, 2)] == [200, 404]
    assert "X-Injected" not in (home / "log").read_text()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (b"X-Forwarded-For: 192.0.2.7\r\n", 200),
        (b"X-Forwarded-For: 2001:db8:5::1\r\n", 200),
        (b"X-Forwarded-For: [2001:db8:5::1]:4711\r\n", 200),
        (b"X-Forwarded-For: 192.0.2.7, 10.1.2.3\r\n", 200),
        (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.1.2.3\r\n", 200),
        (b"X-Forwarded-For: 198.51.100.1\r\n", 403),
        (b"X-Forwarded-For: 192.0.2.7, 198.51.100.1\r\n", 403),
        (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 198.51.100.1\r\n", 403),
        (b"X-Forwarded-For: 192.0.2.7, 198.51.100.1, 10.1.2.3\r\n", 403),
        (b"X-Forwarded-For: 192.0.2.7, unknown\r\n", 403),
        (b"X-Forwarded-For: 192.0.2.7, \xff, 192.0.2.7\r\n", 403),
        (b"X-Forwarded-For: \r\n", 403),
        (b"X-Forwarded-For: " + b"192.0.2.7, " * 5_000 + b"198.51.100.1\r\n", 403),
        (b"X-Forwarded-For: 198.51.100.1\r\nX_Forwarded_For: 192.0.2.7\r\n", 403),
        (b"X_Forwarded_For: 192.0.2.7\r\n", 403),
        (b"X-Real-IP: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n", 403),
        (b"", 403),
    ],
)
def test_only_the_networks_of_a_source_may_send(
    behind_proxy: tuple[str, Path], headers: bytes, expected: int
) -> None:
    url, home = behind_proxy
    before, counted = landed(home), refusals(url).get("atoms network", 0)
    assert status(raw(url, "atoms", headers)) == expected
    assert landed(home) == before + (expected == 200)
    assert refusals(url).get("atoms network", 0) == counted + (expected == 403)


def test_a_source_without_a_list_may_be_sent_from_anywhere(behind_proxy: tuple[str, Path]) -> None:
    url, _ = behind_proxy
    assert post(url, "generic", {"X-Forwarded-For": "198.51.100.1"}).status_code == 200


def test_without_trusted_proxies_only_the_connection_counts(start_receiver: Start) -> None:
    url, home, _ = start_receiver(allow_from_atoms="192.0.2.0/24", receiver_allow_unsigned="1")
    assert post(url, "atoms", {"X-Forwarded-For": "192.0.2.7"}).status_code == 403
    assert landed(home) == 0
    url, _, _ = start_receiver(allow_from_atoms="127.0.0.0/8", receiver_allow_unsigned="1")
    assert post(url, "atoms", {"X-Forwarded-For": "198.51.100.1"}).status_code == 200


def test_the_right_network_replaces_no_signature(start_receiver: Start) -> None:
    url, _, _ = start_receiver(allow_from_atoms="127.0.0.1", secret_atoms="new")
    assert post(url, "atoms").status_code == 401
    assert post(url, "atoms", {"X-Signature": hmac_sha256_hex("new", BODY)}).status_code == 200


def test_behind_a_proxy_loopback_is_no_proof(start_receiver: Start) -> None:
    url, _, _ = start_receiver()
    assert post(url, "atoms").status_code == 200
    assert post(url, "atoms", {"X-Forwarded-For": "198.51.100.1"}).status_code == 401
    assert post(url, "atoms", {"Forwarded": "for=198.51.100.1"}).status_code == 401
    assert post(url, "atoms", {"Via": "1.1 front"}).status_code == 401
    url, _, _ = start_receiver(trusted_proxies="127.0.0.1")
    assert post(url, "atoms").status_code == 401


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [("ALLOW_FROM_ATOM", "192.0.2.0/24", "AFTERCALL_ALLOW_FROM_ATOM names no source; known are atoms, "),
     ("ALLOW_FROM_ATOMS", "192.0.2.1/24", "write 192.0.2.0/24, or the address alone"),
     ("ALLOW_FROM_ATOMS", ",", "AFTERCALL_ALLOW_FROM_ATOMS holds no network"),
     ("TRUSTED_PROXIES", "proxy.example", "write for example 192.0.2.0/24")],
)  # fmt: skip
def test_a_list_that_would_guard_nothing_stops_the_start(
    setting: str, value: str, message: str, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv(f"AFTERCALL_{setting}", value)
        with pytest.raises(ValueError, match=re.escape(message)):
            ReceiverSettings()


def test_a_delivery_sent_again_within_the_window_is_a_duplicate(guarded: tuple[str, Path]) -> None:
    url, _ = guarded
    headers = signed(identity="msg_again")
    first = post(url, "generic", headers)
    time.sleep(0.01)
    again = post(url, "generic", headers)
    assert first.content == again.content == b'{"status":"accepted","event_id":"msg_again"}'
