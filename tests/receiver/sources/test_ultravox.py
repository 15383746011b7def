import hmac
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

ULTRAVOX = SOURCES["ultravox"]
BODIES = Path(__file__).parent / "bodies" / "ultravox"
BODY = (BODIES / "call.ended.json").read_bytes()
SENT_AT = "2026-10-05T09:16:42.000001+00:00"
NOW = datetime(2026, 10, 5, 9, 17, tzinfo=UTC).timestamp()
CALL = "5b2f8f0e-1c58-4b0f-9f0e-3f6f0c1d2a41"


def as_documented(secret: str, timestamp: str = SENT_AT, body: bytes = BODY) -> dict[str, str]:
    """By the expression on the vendor's page: hmac.new(secret, content + timestamp, "sha256").hexdigest()."""
    digest = hmac.new(secret.encode(), body + timestamp.encode(), "sha256").hexdigest()
    return {"x-ultravox-webhook-signature": digest, "x-ultravox-webhook-timestamp": timestamp}


def test_as_the_vendors_page_signs() -> None:
    ULTRAVOX.verify(as_documented("s1"), BODY, ["s0", "s1"], NOW)
    both = as_documented("old") | {
        "x-ultravox-webhook-signature": ", ".join(
            as_documented(secret)["x-ultravox-webhook-signature"] for secret in ("old", "s1")
        )
    }
    ULTRAVOX.verify(both, BODY, ["s1"], NOW)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        (as_documented("other"), "wrong"),
        (as_documented("s1", body=b"{}"), "wrong"),
        (as_documented("s1", "2026-10-05T09:11:42+00:00"), "expired"),
        (as_documented("s1", "2026-10-05T09:25:00Z"), "expired"),
        (as_documented("s1", "yesterday"), "malformed"),
        (as_documented("s1") | {"x-ultravox-webhook-timestamp": "2026-10-05T09:16:43+00:00"}, "wrong"),
        (as_documented("s1") | {"x-ultravox-webhook-signature": "," * 9_999}, "wrong"),
        (as_documented("s1") | {"x-ultravox-webhook-signature": "\udce9"}, "wrong"),
    ],
)
def test_what_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        ULTRAVOX.verify(headers, BODY, ["s1"], NOW)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("call.started", ("call.start", "09:14:02.120431", "+12025550143", "outbound")),
        ("call.joined", ("call.start", "09:14:09.500012", "+12025550143", "outbound")),
        ("call.ended", ("call.end", "09:16:41.900214", "+12025550143", "outbound")),
        ("call.billed", ("call.billed", "09:16:41.900214", "+12025550143", "outbound")),
    ],
)
def test_envelopes(name: str, expected: tuple[str, str, str, str]) -> None:
    kind, moment, phone, way = expected
    facts = ULTRAVOX.facts(json.loads((BODIES / f"{name}.json").read_bytes()), {})
    at = datetime.fromisoformat(f"2026-10-05T{moment}+00:00")
    assert facts == Facts(None, kind, CALL, at, phone, way)


def test_a_caller_is_known_where_sip_says_it() -> None:
    facts = ULTRAVOX.facts(json.loads((BODIES / "call.ended-unjoined.json").read_bytes()), {})
    assert (facts.event_type, facts.customer_phone, facts.direction) == (
        "call.end",
        "+12025550177",
        "inbound",
    )


def test_a_browser_has_no_number() -> None:
    facts = ULTRAVOX.facts(
        {"event": "call.ended", "call": {"callId": "c", "medium": {"webRtc": {}, "sip": 1}}}, {}
    )
    assert facts == Facts(event_type="call.end", call_id="c", direction="web")
