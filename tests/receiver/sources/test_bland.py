import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

BLAND = SOURCES["bland"]
BODIES = Path(__file__).parent / "bodies" / "bland"
BODY = (BODIES / "post-call.json").read_bytes()
KEY = "a signing secret"
# by the expression on the vendor's page: hex of HMAC-SHA256 over the body
DIGEST = hmac.new(KEY.encode(), BODY, "sha256").hexdigest()


def test_as_the_vendors_page_signs() -> None:
    BLAND.verify({"x-webhook-signature": DIGEST}, BODY, ["old", KEY], 0)
    assert BLAND.sign(BODY, KEY, 0) == {"X-Webhook-Signature": DIGEST}


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, BODY, "missing"),
        ({"x-webhook-signature": "0" * 64}, BODY, "wrong"),
        ({"x-webhook-signature": DIGEST}, BODY + b" ", "wrong"),
        ({"x-webhook-signature": "sha256=" + DIGEST}, BODY, "malformed"),
        ({"x-webhook-signature": "\udcff"}, BODY, "malformed"),
    ],
)
def test_what_is_refused(headers: dict[str, str], body: bytes, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        BLAND.verify(headers, body, [KEY], 0)


@pytest.mark.parametrize(
    ("name", "kind", "time", "phone", "way"),
    [
        ("post-call", "analytics.completed", "09:15:11", "2025550151", "outbound"),
        ("post-call-transferred", "analytics.completed", "09:14:30", "+12025550152", "inbound"),
        ("post-call-no_answer", "analytics.completed", None, "2025550151", "outbound"),
        ("in-call", "tool", None, None, None),
    ],
)
def test_documented_bodies(
    name: str, kind: str, time: str | None, phone: str | None, way: str | None
) -> None:
    body = json.loads((BODIES / f"{name}.json").read_text())
    moment = time and datetime.fromisoformat(f"2026-10-02T{time}").replace(tzinfo=UTC)
    assert BLAND.facts(body, {}) == Facts(None, kind, body["call_id"], moment or None, phone, way)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"call_length": 0.5}, 30),
        ({"call_length": "2", "corrected_duration": None}, 120),
        ({"call_length": 0, "corrected_duration": "0"}, 0),
        ({}, None),
        ({"corrected_duration": "soon"}, None),
        ({"corrected_duration": "nan"}, None),
        ({"corrected_duration": "1e400"}, None),
        ({"corrected_duration": 10**400}, None),
        ({"corrected_duration": -1}, None),
        ({"corrected_duration": []}, 0),
        ({"corrected_duration": [1]}, None),
    ],
)
def test_the_end_is_the_start_and_the_duration(fields: dict[str, Any], seconds: int | None) -> None:
    at = BLAND.facts({"started_at": "2026-10-02T09:14:00Z", **fields}, {}).occurred_at
    assert (at and (at - datetime(2026, 10, 2, 9, 14, tzinfo=UTC)).total_seconds()) == seconds


def test_the_end_of_time() -> None:
    body = {"started_at": "9999-12-31T23:59:59Z", "call_length": 5, "c_id": 7, "inbound": "yes"}
    assert BLAND.facts(body, {}) == Facts(event_type="analytics.completed", call_id="7")
