import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

ELEVENLABS = SOURCES["elevenlabs"]
BODIES = Path(__file__).parent / "bodies" / "elevenlabs"
BODY = (BODIES / "post_call_transcription.json").read_bytes()
NOW = 1790932540
KEY = "wsec_0123456789"


@pytest.fixture(scope="module")
def vendor() -> Any:
    from elevenlabs import ElevenLabs

    return ElevenLabs(api_key="none").webhooks


def signed(off: int = 0, key: str = KEY, body: bytes = BODY) -> dict[str, str]:
    return {name.lower(): value for name, value in ELEVENLABS.sign(body, key, NOW + off).items()}


def test_what_is_signed_here_the_vendors_package_believes(vendor: Any) -> None:
    header = ELEVENLABS.sign(BODY, KEY, time.time())["ElevenLabs-Signature"]
    assert vendor.construct_event(BODY.decode(), header, KEY) == json.loads(BODY)
    with pytest.raises(Exception, match="does not match"):
        vendor.construct_event(BODY.decode(), header, "other")
    ELEVENLABS.verify({"elevenlabs-signature": header}, BODY, ["old", KEY], time.time())


@pytest.mark.parametrize("off", [-1800, -1, 1800])
def test_half_an_hour_either_way(off: int) -> None:
    ELEVENLABS.verify(signed(off), BODY, [KEY], NOW)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        (signed(key="other"), "wrong"),
        (signed(body=b"{}"), "wrong"),
        (signed(-1801), "expired"),
        (signed(1801), "expired"),
        ({"elevenlabs-signature": signed()["elevenlabs-signature"].replace("t=1", "t=2")}, "wrong"),
        ({"elevenlabs-signature": signed()["elevenlabs-signature"].partition(",")[2]}, "malformed"),
        ({"elevenlabs-signature": "t=" + "9" * 99_999 + ",v0=" + "0" * 64}, "malformed"),
        ({"elevenlabs-signature": "t=²,v0=" + "0" * 64}, "malformed"),
        ({"elevenlabs-signature": "\udcff"}, "malformed"),
        ({"elevenlabs-signature": ""}, "malformed"),
    ],
)
def test_what_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        ELEVENLABS.verify(headers, BODY, [KEY], NOW)


@pytest.mark.parametrize(
    ("name", "kind", "time_of_day", "phone", "way"),
    [
        ("post_call_transcription", "analytics.completed", "09:15:36", "+919555501234", "inbound"),
        ("call_initiation_failure", "call.end", "09:29:00", "+12025550144", "outbound"),
        ("call_initiation_failure-sip", "call.end", "09:45:40", "+12025550145", "outbound"),
    ],
)
def test_documented_bodies(name: str, kind: str, time_of_day: str, phone: str, way: str) -> None:
    body = json.loads((BODIES / f"{name}.json").read_text())
    moment = datetime.fromisoformat(f"2026-10-02T{time_of_day}").replace(tzinfo=UTC)
    call = body["data"]["conversation_id"]
    assert ELEVENLABS.facts(body, {}) == Facts(None, kind, call, moment, phone, way)


@pytest.mark.parametrize("metadata", [{}, {"phone_call": None, "whatsapp": None, "sms": None}])
def test_without_a_phone_call_it_was_on_the_web(metadata: dict[str, Any]) -> None:
    data = {"conversation_id": "c", "metadata": metadata}
    facts = ELEVENLABS.facts({"type": "post_call_transcription", "data": data}, {})
    assert (facts.direction, facts.customer_phone) == ("web", None)
    metadata["sms"] = {"from": "+1"}
    assert ELEVENLABS.facts({"type": "post_call_transcription", "data": data}, {}).direction is None


def test_other_events_keep_their_name_and_garbage_is_unknown() -> None:
    body = {"type": "post_call_audio", "event_timestamp": "2026-10-02T09:15:36Z", "data": {"metadata": []}}
    assert ELEVENLABS.facts(body, {}) == Facts(
        event_type="post_call_audio", occurred_at=datetime(2026, 10, 2, 9, 15, 36, tzinfo=UTC)
    )
    assert ELEVENLABS.facts({"type": 1, "event_timestamp": 10**400, "data": "x"}, {}) == Facts()
