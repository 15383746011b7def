import hmac
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

VAPI = SOURCES["vapi"]
BODIES = Path(__file__).parent / "bodies" / "vapi"
BODY = (BODIES / "end-of-call-report.json").read_bytes()
NOW = 1790932520.0
KEY = "a shared secret"


def signed(key: str = KEY, timestamp: str | None = "1790932519", body: bytes = BODY) -> dict[str, str]:
    """By the defaults of the vendor's HMAC credential: hex, sha256, `{timestamp}.{body}`; or `{body}` alone."""
    signed = body if timestamp is None else timestamp.encode() + b"." + body
    headers = {"x-signature": hmac.new(key.encode(), signed, "sha256").hexdigest()}
    return headers if timestamp is None else headers | {"x-timestamp": timestamp}


@pytest.mark.parametrize(
    "headers",
    [
        signed(),
        signed(timestamp="1790932519123"),
        signed(timestamp=None),
        {"authorization": f"Bearer {KEY.replace(' ', '-')}"},
        {"authorization": f"bearer  {KEY.replace(' ', '-')} "},
        {"x-vapi-secret": KEY},
        {"authorization": "Basic eA==", "x-vapi-secret": KEY},
    ],
)
def test_every_way_an_operator_may_choose(headers: dict[str, str]) -> None:
    VAPI.verify(headers, BODY, ["other", KEY, KEY.replace(" ", "-")], NOW)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        (signed("other"), "wrong"),
        (signed(body=b"{}"), "wrong"),
        (signed(timestamp="1790932219"), "expired"),
        (signed(timestamp="1790932821"), "expired"),
        (signed(timestamp="1790932219999"), "expired"),
        (signed(timestamp="now"), "malformed"),
        (signed(timestamp="17909325191"), "malformed"),
        (signed() | {"x-timestamp": "1790932518"}, "wrong"),
        (signed(timestamp=None) | {"x-timestamp": "1790932519"}, "wrong"),
        (signed("other") | {"x-vapi-secret": KEY}, "wrong"),
        ({"x-signature": ""}, "malformed"),
        ({"x-vapi-secret": ""}, "wrong"),
        ({"x-vapi-secret": KEY + " "}, "wrong"),
        ({"x-vapi-secret": "\udcff"}, "wrong"),
        ({"authorization": "Bearer"}, "malformed"),
        ({"authorization": "Basic eA=="}, "malformed"),
        ({"authorization": "Bearer other"}, "wrong"),
        ({"authorization": "Bearer " + "x" * 99_999}, "wrong"),
    ],
)
def test_what_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        VAPI.verify(headers, BODY, [KEY], NOW)


def test_what_is_signed_here_is_believed() -> None:
    headers = {name.lower(): value for name, value in VAPI.sign(BODY, KEY, NOW).items()}
    VAPI.verify(headers, BODY, [KEY], NOW + 1)
    assert headers["x-signature"] == signed(timestamp=headers["x-timestamp"])["x-signature"]


@pytest.mark.parametrize(
    ("name", "kind", "time"),
    [
        ("status-update-ringing", "status-update", "09:13:55.120000"),
        ("status-update-in-progress", "call.start", "09:14:00.411000"),
        ("status-update-ended", "call.end", "09:15:13.020000"),
        ("end-of-call-report", "analytics.completed", "09:15:12.911000"),
        ("end-of-call-report-no_answer", "analytics.completed", "09:23:18"),
    ],
)
def test_documented_bodies(name: str, kind: str, time: str) -> None:
    body = json.loads((BODIES / f"{name}.json").read_text())
    moment = datetime.fromisoformat(f"2026-10-02T{time}").replace(tzinfo=UTC)
    call = body["message"]["call"]["id"]
    assert VAPI.facts(body, {}) == Facts(None, kind, call, moment, "+4915550100201", "outbound")


def test_times_and_customers_in_other_places() -> None:
    call = {
        "id": "c",
        "type": "webCall",
        "endedAt": "2026-10-02T11:15:12+02:00",
        "customer": {"number": "+1"},
    }
    message = {"type": "end-of-call-report", "timestamp": "2026-10-02T09:20:00Z", "call": call}
    at = datetime(2026, 10, 2, 9, 15, 12, tzinfo=UTC)
    assert VAPI.facts({"message": message}, {}) == Facts(None, "analytics.completed", "c", at, "+1", "web")
    del call["endedAt"]
    assert VAPI.facts({"message": message}, {}).occurred_at == datetime(2026, 10, 2, 9, 20, tzinfo=UTC)
    assert VAPI.facts({"message": {"type": "hang", "call": 3, "timestamp": True}}, {}) == Facts(
        event_type="hang"
    )
