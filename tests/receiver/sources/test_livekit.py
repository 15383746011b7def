import base64
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from livekit.api import AccessToken, TokenVerifier, VideoGrants, WebhookReceiver

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

LIVEKIT = SOURCES["livekit"]
BODIES = Path(__file__).parent / "bodies" / "livekit"
BODY = (BODIES / "room_finished.json").read_bytes()
KEY, SECRET = "APIkey", "a-secret-of-thirty-two-characters!"
ROOM = "RM_8yQk2uFz3wXo"


def digest(body: bytes = BODY) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def token(body: bytes = BODY, secret: str = SECRET, lives: int = 60) -> str:
    """As the vendor's package makes it."""
    token = AccessToken(KEY, secret).with_sha256(digest(body)).with_ttl(timedelta(seconds=lives))
    return token.to_jwt()


def test_signed_by_the_vendors_package() -> None:
    for value in (token(), f"Bearer {token()}"):
        LIVEKIT.verify({"authorization": value}, BODY, ["other", SECRET], time.time())


def test_the_vendors_package_believes_ours() -> None:
    headers = LIVEKIT.sign(BODY, SECRET, time.time())
    issuer = TokenVerifier("aftercall", SECRET)
    event = WebhookReceiver(issuer).receive(BODY.decode(), headers["Authorization"])
    assert event.room.sid == ROOM


def claims(**more: object) -> str:
    return jwt.encode({"exp": 1_300, "sha256": digest(), **more}, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    ("value", "now", "reason"),
    [
        ("", 1_000, "missing"),
        ("nonsense", 1_000, "malformed"),
        ("é.é.é", 1_000, "malformed"),
        ("." * 60_000, 1_000, "malformed"),
        (claims(), 1_361, "expired"),
        (claims(exp=None), 1_000, "expired"),
        (claims(exp="soon"), 1_000, "expired"),
        (claims(nbf=1_061), 1_000, "expired"),
        (claims(sha256=digest(b"{}")), 1_000, "wrong"),
        (claims(sha256=None), 1_000, "wrong"),
        (claims(sha256=[1]), 1_000, "wrong"),
        (claims()[:-2], 1_000, "wrong"),
        (jwt.encode({"exp": 1_300, "sha256": digest()}, "", algorithm="none"), 1_000, "malformed"),
        (
            jwt.encode({"exp": 1_300, "sha256": digest()}, SECRET + SECRET, algorithm="HS512"),
            1_000,
            "malformed",
        ),
        (jwt.encode({"exp": 1_300, "sha256": digest()}, SECRET[::-1], algorithm="HS256"), 1_000, "wrong"),
    ],
)
def test_what_is_refused(value: str, now: float, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        LIVEKIT.verify({"authorization": value}, BODY, [SECRET], now)


def test_the_token_of_somebody_in_the_room_is_no_signature() -> None:
    grants = VideoGrants(room_join=True, room="r")
    theirs = AccessToken(KEY, SECRET).with_identity("caller").with_grants(grants).to_jwt()
    with pytest.raises(BadSignature, match="wrong"):
        LIVEKIT.verify({"authorization": theirs}, BODY, [SECRET], time.time())


@pytest.mark.parametrize(
    ("name", "kind", "second", "phone"),
    [
        ("room_started", "call.start", 1791191642, None),
        ("participant_joined-agent", "participant_joined", 1791191643, None),
        ("participant_joined", "call.start", 1791191643, "+12025550143"),
        ("participant_left", "call.end", 1791191801, "+12025550143"),
        ("room_finished", "call.end", 1791191821, None),
    ],
)
def test_a_call_is_a_room(name: str, kind: str, second: int, phone: str | None) -> None:
    body = json.loads((BODIES / f"{name}.json").read_bytes())
    at = datetime.fromtimestamp(second, UTC)
    assert LIVEKIT.facts(body, {}) == Facts(body["id"], kind, ROOM, at, phone, phone and "inbound")


def test_a_number_we_called_came_by_no_dispatch_rule() -> None:
    body = json.loads((BODIES / "participant_joined.json").read_bytes())
    del body["participant"]["attributes"]["sip.ruleID"]
    assert LIVEKIT.facts(body, {}).direction == "outbound"
