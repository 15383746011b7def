import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

RETELL = SOURCES["retell"]
BODIES = Path(__file__).parent / "bodies" / "retell"
BODY = (BODIES / "call_ended.json").read_bytes()
NOW = 1790932534.0
KEY = "key_0123456789abcdef"
Signed = Callable[..., dict[str, str]]


@pytest.fixture
def symmetric() -> Any:
    """What the vendor's package signs and verifies with; imported late, because it imports all of the package."""
    from retell.lib.webhook_auth import symmetric

    return symmetric


@pytest.fixture
def signed(symmetric: Any) -> Signed:
    """Headers by the vendor's package: `signed(key, off, body)`."""

    def sign(key: str = KEY, off: float = 0, body: bytes = BODY) -> dict[str, str]:
        return {"x-retell-signature": symmetric["sign"](body.decode(), key, int((NOW + off) * 1000))}

    return sign


def test_what_the_vendors_package_signs_is_believed(signed: Signed) -> None:
    RETELL.verify(signed(), BODY, ["key_old", KEY], NOW)
    RETELL.verify(signed(off=-299.9), BODY, [KEY], NOW)
    RETELL.verify(signed(off=299.9), BODY, [KEY], NOW)


def test_what_is_signed_here_the_vendors_package_believes(symmetric: Any) -> None:
    signature = RETELL.sign(BODY, KEY, NOW)["X-Retell-Signature"]
    assert symmetric["verify"](BODY.decode(), KEY, signature, {"timestamp": int(NOW * 1000)})
    assert not symmetric["verify"](BODY.decode(), "other", signature, {"timestamp": int(NOW * 1000)})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"key": "other"}, "wrong"),
        ({"body": b"{}"}, "wrong"),
        ({"off": -301}, "expired"),
        ({"off": 301}, "expired"),
    ],
)
def test_what_was_signed_otherwise_is_refused(signed: Signed, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        RETELL.verify(signed(**options), BODY, [KEY], NOW)


def test_a_signature_of_another_version_or_in_upper_case_is_refused(signed: Signed) -> None:
    signature = signed()["x-retell-signature"]
    with pytest.raises(BadSignature, match="wrong"):
        RETELL.verify({"x-retell-signature": signature.replace("v=1", "v=2", 1)}, BODY, [KEY], NOW)
    with pytest.raises(BadSignature, match="malformed"):
        RETELL.verify({"x-retell-signature": signature.upper()}, BODY, [KEY], NOW)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        ({"x-retell-signature": "v=1,d="}, "malformed"),
        ({"x-retell-signature": "v=" + "9" * 99_999}, "malformed"),
        ({"x-retell-signature": "v=\u0661,d=" + "0" * 64}, "malformed"),
        ({"x-retell-signature": "\udcff"}, "malformed"),
    ],
)
def test_what_is_no_signature_is_refused(headers: dict[str, str], reason: str) -> None:
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
