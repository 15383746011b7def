"""Forms, and the address that is signed, seen from outside: a real receiver and what it kept."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from werkzeug.datastructures import MultiDict

from orchestration.config import OrchestrationSettings
from orchestration.load import lines
from orchestration.warehouse import memory_connection
from receiver.body import FORM
from receiver.config import ReceiverSettings
from tests.homes import landing_of

Start = Callable[..., tuple[str, Path, subprocess.Popen[bytes]]]
PUBLIC = "https://hooks.example.com/voice"
TOKEN = "0123456789abcdef0123456789abcdef"
BODY = b"CallSid=CA1&CallStatus=completed&Tag=a&Name=J%c3%bcrgen+K&Tag=b&Empty=&%ff=x&Line=1%0A2"


@pytest.fixture(scope="module")
def open_receiver(start_receiver: Start) -> tuple[str, Path]:
    """Without a secret, on loopback."""
    url, home, _ = start_receiver()
    return url, home


@pytest.fixture(scope="module")
def guarded(start_receiver: Start) -> tuple[str, Path]:
    url, home, _ = start_receiver(secret_twilio=TOKEN, receiver_public_url=f"{PUBLIC}/")
    return url, home


def post(
    url: str, body: bytes, source: str = "twilio", kind: str = FORM, **headers: str
) -> requests.Response:
    return requests.post(
        f"{url}/webhooks/{source}", data=body, headers={"Content-Type": kind} | headers, timeout=30
    )


def signed(body: bytes, query: str = "") -> dict[str, str]:
    fields = MultiDict(parse_qsl(body.decode(), keep_blank_values=True))
    url = f"{PUBLIC}/webhooks/twilio{query}"
    return {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, fields)}


def landed(home: Path) -> list[dict[str, Any]]:
    store = landing_of(home)
    return [
        json.loads(line)
        for segment in store.segments()
        for line in store.read(segment.path, 0, 1 << 30).data.splitlines()
    ]


def test_a_form_is_stored_byte_for_byte_and_readable(open_receiver: tuple[str, Path]) -> None:
    url, home = open_receiver
    answer = post(url, BODY)
    assert answer.status_code == 200, answer.text
    line = landed(home)[-1]
    assert (line["event_id"], line["event_type"], line["call_id"]) == (
        answer.json()["event_id"],
        "call.end",
        "CA1",
    )
    assert line["payload"]["encoded"].encode() == BODY
    assert line["payload"]["form"] == {
        "CallSid": "CA1", "CallStatus": "completed", "Tag": ["a", "b"], "Name": "Jürgen K", "Empty": "",
        "\ufffd": "x", "Line": "1\n2",
    }  # fmt: skip
    assert post(url, BODY, kind=f"{FORM}; charset=UTF-8").json() == answer.json()
    assert post(url, BODY.replace(b"%c3", b"%C3")).json() != answer.json()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b" \n", 400), (b"\xe9=1", 400), (b"a&" * 1_001, 400),
        (b"&".join(b"f%d=1" % number for number in range(1_000)), 200),
        (b"a", 200), (b"&&&", 200), (b"=", 200), (b"{}", 200), (b"a=%", 200), (b"a=%zz&a=%00&a=\x00", 200),
        ("é=\u2028".encode(), 200), (b"a=" + b"%ed%a0%80" * 1_000, 200), (b"CallSid=" + b"9" * 300, 200),
        (b"CallSid=1&CallSid=2&From=1&From=2&CallStatus=a&CallStatus=b", 200),
        (b"form=1&encoded=2", 200), (b"x=" + b"y" * (5 << 20), 413),
    ],
)  # fmt: skip
def test_strange_forms(open_receiver: tuple[str, Path], body: bytes, status: int) -> None:
    url, home = open_receiver
    before = len(landed(home))
    answer = post(url, body)
    assert answer.status_code == status, answer.text
    lines = landed(home)[before:]
    assert [line["payload"]["encoded"].encode() for line in lines] == ([body] if status == 200 else [])


def test_only_twilio_sends_forms(open_receiver: tuple[str, Path]) -> None:
    url, _ = open_receiver
    for source in ("atoms", "generic", "telnyx", "ultravox", "livekit", "synthflow"):
        assert post(url, BODY, source).status_code == 415
    answer = post(url, BODY, kind="multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json()["detail"]) == (
        415,
        f"send Content-Type: application/json or {FORM}",
    )
    assert post(url, BODY, kind=f"{FORM}; charset=latin-1").status_code == 415
    assert post(url, BODY, **{"Content-Encoding": "gzip"}).status_code == 415
    assert post(url, b'{"CallSid": "CA1"}', kind="application/json").status_code == 200
    assert post(url, BODY, kind="application/json").status_code == 400


def test_the_load_takes_every_form(open_receiver: tuple[str, Path]) -> None:
    url, home = open_receiver
    post(url, BODY)
    store = landing_of(home)
    with memory_connection(OrchestrationSettings()) as connection:
        for segment in store.segments():
            parsed = lines.parse(connection, store.read(segment.path, 0, 1 << 30).data, 0)
            assert parsed.events.num_rows > 0
            assert parsed.rejected.num_rows == 0


def test_the_public_address_is_what_is_signed(guarded: tuple[str, Path]) -> None:
    url, _ = guarded
    assert post(url, BODY, **signed(BODY)).status_code == 200
    assert post(url, BODY, **signed(BODY + b"&a=1")).status_code == 401
    assert post(url, BODY).status_code == 401
    with_query = f"{url}/webhooks/twilio?tenant=7&x=%C3%A9"
    headers = {"Content-Type": FORM} | signed(BODY, "?tenant=7&x=%C3%A9")
    assert requests.post(with_query, data=BODY, headers=headers, timeout=30).status_code == 200
    assert requests.post(url + "/webhooks/twilio", data=BODY, headers=headers, timeout=30).status_code == 401


def test_no_header_of_a_request_changes_the_address(start_receiver: Start) -> None:
    url, home, _ = start_receiver(
        secret_twilio=TOKEN, receiver_public_url="https://other.example", trusted_proxies="127.0.0.1"
    )
    claims = {
        "Host": "hooks.example.com", "X-Forwarded-Host": "hooks.example.com", "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/voice", "Forwarded": "host=hooks.example.com;proto=https",
        "X-Original-URL": f"{PUBLIC}/webhooks/twilio",
    }  # fmt: skip
    assert post(url, BODY, **signed(BODY), **claims).status_code == 401
    assert landed(home) == []


def test_without_the_address_the_operator_is_warned(start_receiver: Start) -> None:
    url, home, _ = start_receiver(secret_twilio=TOKEN)
    assert post(url, BODY, **signed(BODY)).status_code == 401
    text = requests.get(f"{url}/metrics", timeout=20).text
    assert 'aftercall_receiver_refused_total{reason="no_address",source="twilio"} 1' in text
    assert "twilio is refused (401) until AFTERCALL_RECEIVER_PUBLIC_URL is set" in (home / "log").read_text()


@pytest.mark.parametrize("value", ["hooks.example.com", "ftp://x", "https://x?y", "https://x:y", "https://"])
def test_an_address_that_is_none_stops_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="receiver_public_url"):
        ReceiverSettings(receiver_public_url=value)
