import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from retell.lib.webhook_auth import symmetric

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

RETELL = SOURCES["retell"]
BODIES = Path(__file__).parent / "bodies" / "retell"
BODY = (BODIES / "call_ended.json").read_bytes()
NOW = 1790932534.0
KEY = "key_0123456789abcdef"


def signed(key: str = KEY, off: float = 0, body: bytes = BODY) -> dict[str, str]:
    """By the vendor's package."""
    return {"x-retell-signature": symmetric["sign"](body.decode(), key, int((NOW + off) * 1000))}


def test_what_the_vendors_package_signs_is_believed() -> None:
    RETELL.verify(signed(), BODY, ["key_old", KEY], NOW)
    RETELL.verify(signed(off=-299.9), BODY, [KEY], NOW)
    RETELL.verify(signed(off=299.9), BODY, [KEY], NOW)


def test_what_is_signed_here_the_vendors_package_believes() -> None:
    signature = RETELL.sign(BODY, KEY, NOW)["X-Retell-Signature"]
    assert symmetric["verify"](BODY.decode(), KEY, signature, {"timestamp": int(NOW * 1000)})
    assert not symmetric["verify"](BODY.decode(), "other", signature, {"timestamp": int(NOW * 1000)})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        (signed("other"), "wrong"),
        (signed(body=b"{}"), "wrong"),
        (signed(off=-301), "expired"),
        (signed(off=301), "expired"),
        ({"x-retell-signature": signed()["x-retell-signature"].replace("v=1", "v=2", 1)}, "wrong"),
        ({"x-retell-signature": signed()["x-retell-signature"].upper()}, "malformed"),
        ({"x-retell-signature": "v=1,d="}, "malformed"),
        ({"x-retell-signature": "v=" + "9" * 99_999}, "malformed"),
        ({"x-retell-signature": "v=\u0661,d=" + "0" * 64}, "malformed"),
        ({"x-retell-signature": "\udcff"}, "malformed"),
    ],
)
def test_what_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        RETELL.verify(headers, BODY, [KEY], NOW)


@pytest.mark.parametrize(
    ("name", "kind", "time", "phone", "way"),
    [
        ("call_started", "call.start", "09:14:00.250000", "+12025550131", "inbound"),
        ("call_ended", "call.end", "09:15:33.730000", "+12025550131", "inbound"),
        ("call_analyzed", "analytics.completed", "09:15:33.730000", "+12025550131", "inbound"),
        ("call_ended-no_answer", "call.end", "09:15:33.730000", "+12025550132", "outbound"),
        ("call_ended-web", "call.end", "09:14:12.250000", None, "web"),
    ],
)
def test_documented_bodies(name: str, kind: str, time: str, phone: str | None, way: str) -> None:
    body = json.loads((BODIES / f"{name}.json").read_text())
    moment = datetime.fromisoformat(f"2026-10-02T{time}").replace(tzinfo=UTC)
    assert RETELL.facts(body, {}) == Facts(None, kind, body["call"]["call_id"], moment, phone, way)


def test_other_events_keep_their_name_and_garbage_is_unknown() -> None:
    assert RETELL.facts({"event": "transfer_started", "call": {"call_id": "c"}}, {}) == Facts(
        event_type="transfer_started", call_id="c"
    )
    call = {"call_id": [], "end_timestamp": 10**400, "direction": 7, "from_number": {}}
    assert RETELL.facts({"event": "call_ended", "call": call}, {}) == Facts(event_type="call.end")
