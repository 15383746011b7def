import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES
from receiver.sources.base import CannotSign

TELNYX = SOURCES["telnyx"]
BODIES = Path(__file__).parent / "bodies" / "telnyx"
BODY = (BODIES / "call.hangup.json").read_bytes()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
OTHER = base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
).decode()
SESSION = "7a0d2f5e-a1b2-11f1-8c7e-02420aef2a10"


def signed(now: float, body: bytes = BODY) -> dict[str, str]:
    timestamp = str(int(now))
    signature = base64.b64encode(KEY.sign(timestamp.encode() + b"|" + body)).decode()
    return {"telnyx-signature-ed25519": signature, "telnyx-timestamp": timestamp}


def test_what_the_vendors_package_believes_is_believed() -> None:
    # here, because every worker of a test run would import all of the package
    from telnyx.lib.webhook_verification import verify_webhook_signature

    now = time.time()
    verify_webhook_signature(BODY, signed(now), PUBLIC)
    TELNYX.verify(signed(now), BODY, [OTHER, PUBLIC], now)


@pytest.mark.parametrize(
    ("changed", "secret", "reason"),
    [
        ({"telnyx-signature-ed25519": ""}, PUBLIC, "missing"),
        ({"telnyx-timestamp": ""}, PUBLIC, "missing"),
        ({"telnyx-timestamp": "1e9"}, PUBLIC, "malformed"),
        ({"telnyx-timestamp": "999"}, PUBLIC, "wrong"),
        ({"telnyx-signature-ed25519": "AAAA"}, PUBLIC, "malformed"),
        ({"telnyx-signature-ed25519": "é"}, PUBLIC, "malformed"),
        ({"telnyx-signature-ed25519": base64.b64encode(bytes(64)).decode()}, PUBLIC, "wrong"),
        ({}, OTHER, "wrong"),
        ({}, "not a key", "unusable_secret"),
    ],
)
def test_what_is_refused(changed: dict[str, str], secret: str, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        TELNYX.verify(signed(1_000) | changed, BODY, [secret], 1_000)


def test_another_body_is_refused() -> None:
    with pytest.raises(BadSignature, match="wrong"):
        TELNYX.verify(signed(1_000), BODY + b" ", [PUBLIC], 1_000)


def test_five_minutes_either_way() -> None:
    for off in (-300, 300):
        TELNYX.verify(signed(1_000), BODY, [PUBLIC], 1_000 + off)
    for off in (-301, 301):
        with pytest.raises(BadSignature, match="expired"):
            TELNYX.verify(signed(1_000), BODY, [PUBLIC], 1_000 + off)


def test_nobody_but_telnyx_can_sign() -> None:
    with pytest.raises(CannotSign, match="private key"):
        TELNYX.sign(BODY, PUBLIC, 0)


@pytest.mark.parametrize(
    ("name", "kind", "phone", "way"),
    [
        ("call.initiated", "call.start", "+12025550143", "inbound"),
        ("call.answered", "call.start", None, None),
        ("call.initiated-transfer", "call.initiated", None, None),
        ("call.hangup-transfer", "call.hangup", None, None),
        ("call.conversation.ended", "call.end", None, None),
        ("call.hangup", "call.end", None, None),
        ("call.conversation_insights.generated", "analytics.completed", None, None),
    ],
)
def test_every_leg_is_of_the_session(name: str, kind: str, phone: str | None, way: str | None) -> None:
    body = json.loads((BODIES / f"{name}.json").read_bytes())
    at = datetime.fromisoformat(body["data"]["occurred_at"]).astimezone(UTC)
    assert TELNYX.facts(body, {}) == Facts(body["data"]["id"], kind, SESSION, at, phone, way)


@pytest.mark.parametrize("leg", [None, "", 7, "leg-two", "3f2a0c6a-0001-4d58-9c7e-000000000001"])
def test_a_leg_of_another_form_is_the_first(leg: object) -> None:
    payload = {"call_session_id": SESSION, "call_leg_id": leg, "direction": "outgoing", "to": "+12025550143"}
    facts = TELNYX.facts({"data": {"event_type": "call.initiated", "payload": payload}}, {})
    assert facts == Facts(None, "call.start", SESSION, None, "+12025550143", "outbound")
