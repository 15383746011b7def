"""Who may send unsigned events: programs on this machine, and nobody once platforms reach the receiver."""

import http.client
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from receiver.app import create_app
from receiver.auth import NOT_SIGNED
from receiver.config import ReceiverSettings
from receiver.exposure import UnsignedFrom, open_sources
from receiver.landing import open_landing
from receiver.signatures import hmac_sha256_hex
from receiver.sources import SOURCES

Started = tuple[str, Path, subprocess.Popen[bytes]]
BODY = b'{"event": "call.end", "call_id": "c1"}'
SECRET = "a signing secret"
LOCAL = "localhost:8080"


def settings(home: Path, **others: Any) -> ReceiverSettings:
    return ReceiverSettings(
        home=home, **({"secrets": {}, "allow_from": {}, "receiver_public_url": ""} | others)
    )


def answer(chosen: ReceiverSettings, source: str = "bland", host: str = LOCAL, **headers: str) -> Any:
    """What the application answers to a request with these headers; underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    client = create_app(chosen, open_landing(chosen.home)).test_client()
    return client.post(
        f"/webhooks/{source}", data=BODY, headers={"Content-Type": "application/json", "Host": host} | named
    )


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"]
)
def test_a_program_of_this_machine_needs_no_signature(tmp_path: Path, host: str) -> None:
    assert answer(settings(tmp_path), host=host).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "none"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8080"},
        {"host": "localhost.evil.example"},
        {"host": "localhost@evil.example"},
        {"host": "evil.example#localhost"},
        {"host": "localhost,evil.example"},
        {"host": "192.0.2.7:8080"},
        {"host": "0.0.0.0:8080"},
        {"host": ""},
        {"X_Forwarded_For": "192.0.2.7"},
        {"X_Forwarded_Port": "443"},
        {"X_Real_Ip": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"Via": "1.1 proxy"},
        {"Cf_Connecting_Ip": "192.0.2.7"},
        {"X_Original_Host": "hooks.example.com"},
    ],
)
def test_a_page_and_a_proxy_are_not_programs_of_this_machine(tmp_path: Path, headers: dict[str, str]) -> None:
    refused = answer(settings(tmp_path), **headers)
    assert refused.status_code == 401
    assert refused.content_type == "application/problem+json"
    assert list(open_landing(tmp_path).segments()) == []


@pytest.mark.parametrize(
    "others",
    [
        {"secrets": {"atoms": (SECRET,)}},
        {"receiver_public_url": "https://hooks.example.com"},
        {"trusted_proxies": "127.0.0.1"},
        {"receiver_bind": "0.0.0.0:8080"},
    ],
)
def test_in_earnest_every_source_needs_a_secret(tmp_path: Path, others: dict[str, Any]) -> None:
    chosen = settings(tmp_path, **others)
    refused = answer(chosen)
    assert refused.status_code == 401
    assert list(open_landing(tmp_path).segments()) == []
    assert open_sources(chosen) == {}
    # behind four plain lines of nginx the Host is that of the receiver; whoever is at this machine learns the setting
    detail = orjson.loads(refused.data)["detail"]
    is_near = "receiver_bind" not in others
    assert ("AFTERCALL_SECRET_BLAND" in detail) is is_near
    assert is_near or detail == NOT_SIGNED
    assert orjson.loads(answer(chosen, host="hooks.example.com").data)["detail"] == NOT_SIGNED
    allowed = settings(tmp_path, receiver_allow_unsigned=True, **others)
    assert answer(allowed).status_code == 200
    assert answer(allowed, host="hooks.example.com", X_Forwarded_For="192.0.2.7").status_code == 200
    assert answer(allowed, Origin="https://evil.example").status_code == 401


def test_what_is_signed_may_come_by_any_road(tmp_path: Path) -> None:
    chosen = settings(tmp_path, secrets={"bland": (SECRET,)})
    signed = {"X_Webhook_Signature": hmac_sha256_hex(SECRET, BODY)}
    for headers in (
        {"host": "hooks.example.com"},
        {"Origin": "https://app.example"},
        {"X_Forwarded_For": "192.0.2.7"},
    ):
        assert answer(chosen, **signed, **headers).status_code == 200


def test_open_doors_are_counted(tmp_path: Path) -> None:
    assert open_sources(settings(tmp_path)) == dict.fromkeys(sorted(SOURCES), UnsignedFrom.THIS_MACHINE)
    beyond = settings(
        tmp_path, receiver_bind="0.0.0.0:8080", secrets={"atoms": (SECRET,)}, receiver_allow_unsigned=True
    )
    others = [name for name in sorted(SOURCES) if name != "atoms"]
    assert open_sources(beyond) == dict.fromkeys(others, UnsignedFrom.ANYBODY)


def test_under_its_own_server(start_receiver: Callable[..., Started]) -> None:
    """The same by real requests, since a server may change headers before the application sees them."""
    url, home, _ = start_receiver()
    address = urlsplit(url)

    def status(**headers: str) -> int:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
        connection.request("POST", "/webhooks/generic", BODY, {"Content-Type": "application/json"} | headers)
        return connection.getresponse().status

    assert status() == 200
    assert status(Origin="https://evil.example") == 401
    assert status(Host="evil.example") == 401
    assert status(**{"Sec-Fetch-Site": "cross-site"}) == 401
    assert sum(segment.size > 0 for segment in open_landing(home).segments()) == 1


@pytest.mark.parametrize(
    ("source", "kind"), [("synthflow", "application/json"), ("twilio", "application/x-www-form-urlencoded")]
)
def test_what_is_parsed_before_it_is_believed_has_a_small_limit(
    tmp_path: Path, source: str, kind: str
) -> None:
    chosen = settings(tmp_path, secrets={source: (SECRET,)}, receiver_public_url="https://hooks.example.com")
    client = create_app(chosen, open_landing(tmp_path)).test_client()
    headers = {
        "Content-Type": kind,
        "Synthflow-Signature": "A" * 43 + "=",
        "X-Twilio-Signature": "A" * 27 + "=",
    }
    for size, status in ((chosen.receiver_unproven_bytes, 401), (chosen.receiver_unproven_bytes + 1, 413)):
        assert client.post(f"/webhooks/{source}", data=b"x" * size, headers=headers).status_code == status
    # a source that signs the bytes reads none of them before
    assert client.post("/webhooks/bland", data=b"x" * 400_000, headers=headers).status_code in (401, 415)
