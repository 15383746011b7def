"""LiveKit: room and participant events, as `application/webhook+json`.

A call is a room's session, `room.sid`; names of rooms are reused. It starts and ends with the room and with each person
in it, but not with agents and recorders. Sources of the rules: `livekit/api/webhook.py` and
`access_token.py` of the vendor's package `livekit-api`, its `WebhookEvent` message, its page on SIP participants
(docs.livekit.io/reference/telephony/sip-participant), and the tests of livekit/sip for who has a `sip.ruleID`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from receiver.envelope import Facts
from receiver.signatures import BadSignature, Reason, match
from receiver.sources.base import (
    CALL_END,
    CALL_START,
    Setup,
    Source,
    identifier,
    mapping,
    moment_of,
    text,
)

_TYPES = {"room_started": CALL_START, "room_finished": CALL_END}
_OF_PERSONS = {"participant_joined": CALL_START, "participant_left": CALL_END}
# JSON of protocol buffers leaves out a field that has its default, and STANDARD is one
_PERSONS = {"STANDARD", "SIP", "CONNECTOR", None}
LEEWAY_SECONDS = 60
"""Allowed difference of the times in a token, as in the vendor's verifier."""
_TTL_SECONDS = 300


class LiveKit(Source):
    """The token also names the API key. The secret alone is proof, since no other key has it."""

    name = "livekit"

    signature_headers: tuple[str, ...] = ("Authorization",)

    reports_each_leg = True

    operator_objects = frozenset({"attributes"})

    setup = Setup(
        platform="LiveKit",
        steps=(
            "LiveKit Cloud: project Settings > Webhooks, enter {url} and choose the API key that signs.",
            "Self-hosted: in livekit.yaml set webhook.urls to [{url}] and webhook.api_key to that key.",
        ),
        credential="the API secret that belongs to the API key chosen there",
        content_type="application/webhook+json",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """A JWT (HS256) that has not expired and whose claim `sha256` is the base64 digest of the body.

        The same secret signs the access tokens of people in a room, but those have no such claim.
        """
        token = headers.get("authorization")
        if not token:
            raise BadSignature(Reason.MISSING)
        signed, _, signature = token.strip().removeprefix("Bearer ").rpartition(".")
        head, _, payload = signed.partition(".")
        if _object(head).get("alg") != "HS256":
            raise BadSignature(Reason.MALFORMED)
        match(
            [_digest(secret, signed).encode() for secret in secrets], [signature.encode("utf-8", "replace")]
        )
        claims = _object(payload)
        digest = base64.b64encode(hashlib.sha256(body).digest())
        match([digest], [(text(claims.get("sha256")) or "").encode("utf-8", "replace")])
        expires, begins = (moment_of(claims.get(name)) for name in ("exp", "nbf"))
        if expires is None or now > expires.timestamp() + LEEWAY_SECONDS:
            raise BadSignature(Reason.EXPIRED)
        if begins is not None and now < begins.timestamp() - LEEWAY_SECONDS:
            raise BadSignature(Reason.EXPIRED)

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """With a token of five minutes, as the server's."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        claims = {"iss": "aftercall", "nbf": int(now), "exp": int(now) + _TTL_SECONDS, "sha256": digest}
        signed = ".".join(_encoded(orjson.dumps(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return {"Authorization": f"{signed}.{_digest(secret, signed)}"}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """Numbers and direction are attributes of the participant who is on the telephone."""
        fields = mapping(body)
        participant = mapping(fields.get("participant"))
        attributes = mapping(participant.get("attributes"))
        kind = text(fields.get("event"))
        types = _TYPES | _OF_PERSONS if text(participant.get("kind")) in _PERSONS else _TYPES
        return Facts(
            event_id=identifier(fields.get("id")),
            event_type=types.get(kind, kind) if kind else None,
            call_id=identifier(mapping(fields.get("room")).get("sid")),
            occurred_at=moment_of(fields.get("createdAt")),
            customer_phone=text(attributes.get("sip.phoneNumber")),
            direction=_direction(attributes),
        )


def _direction(attributes: dict[str, Any]) -> str | None:
    """Only an inbound call has a dispatch rule."""
    if text(attributes.get("sip.callID")) is None:
        return None
    return "inbound" if text(attributes.get("sip.ruleID")) else "outbound"


def _digest(secret: str, signed: str) -> str:
    key = secret.encode("utf-8", "surrogateescape")
    return _encoded(hmac.digest(key, signed.encode("utf-8", "replace"), "sha256"))


def _encoded(value: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _object(part: str) -> dict[str, Any]:
    """The JSON object in a part of a token; an empty one if it is none."""
    try:
        return mapping(orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
    except (binascii.Error, ValueError):
        return {}
