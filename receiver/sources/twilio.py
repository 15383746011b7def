"""Twilio Voice: status callbacks as forms, and Event Streams as JSON.

A leg that `<Dial>` creates is a call of its own, as at Twilio, and names its parent. Sources of the rules: the
vendor's package (`twilio/request_validator.py`), its pages on status callbacks and on Event Streams.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from receiver.body import FORM, BadBody, form_fields, kind_of
from receiver.envelope import Facts
from receiver.identity import Identity
from receiver.signatures import BadSignature, Reason, match
from receiver.sources.base import (
    CALL_END,
    CALL_START,
    CallLength,
    Setup,
    Source,
    direction,
    first,
    identifier,
    mapping,
    moment,
    parts,
    text,
)

_TYPES = {
    **dict.fromkeys(("queued", "initiated", "ringing", "in-progress", "answered"), CALL_START),
    **dict.fromkeys(("completed", "busy", "no-answer", "failed", "canceled"), CALL_END),
}
_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_BASE64_DIGEST = re.compile(r"[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=", re.ASCII)
_PORTS = {"https": 443, "http": 80}


class Twilio(Source):
    """Twilio signs the address that it called. Only the operator knows it: a proxy may change it on the way."""

    name = "twilio"

    signature_headers: tuple[str, ...] = ("X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings")
    takes_forms = True

    reads_before_verifying = True

    takes_address = True

    setup = Setup(
        platform="Twilio",
        steps=(
            "Outbound: give calls StatusCallback={url} with StatusCallbackEvent initiated, answered and completed.",
            "Inbound: Phone Numbers > the number > Voice > Call status changes: {url}, HTTP POST.",
            "Legs of <Dial>: statusCallback={url} on <Number> or <Sip>.",
            "Event Streams: a webhook sink with destination {url} and batch_events=false.",
        ),
        credential="the account's Auth Token (Console > Account Info), or the shared key's secret",
        content_type=FORM,
    )

    def __init__(self, url: str | None = None) -> None:
        self.url = url

    def at(self, url: str | None) -> Self:
        """The source for one request: the address as Twilio called it, with its query."""
        return type(self)(url)

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """Base64 HMAC over the address and the form's sorted fields, or over an address that has the body's digest.

        SHA-1 with the Auth Token; SHA-256 where the settings header says so. Addresses count with and without the
        port, since Twilio signs either.
        """
        claimed = (headers.get("x-twilio-signature") or "").strip()
        algorithm = _algorithm(headers.get("x-twilio-webhooks-signature-settings") or "")
        if not claimed:
            raise BadSignature(Reason.MISSING)
        if not _BASE64_DIGEST.fullmatch(claimed) or algorithm is None:
            raise BadSignature(Reason.MALFORMED)
        if self.url is None:
            raise BadSignature(Reason.NO_ADDRESS)
        fields = _signed_fields(self.url, headers.get("content-type", ""), body)
        signed = [url + fields for url in _with_and_without_port(self.url)]
        expected = [_signature(secret, each, algorithm) for secret in secrets for each in signed]
        match([digest.encode() for digest in expected], [claimed.encode()])

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """As a form, with the Auth Token."""
        url = self.url or ""
        return {"X-Twilio-Signature": _signature(secret, url + _signed_fields(url, FORM, body), "sha1")}

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """From the fields of a form, or of the request in an Event Streams event; of several events, the first."""
        event = mapping(body[0] if isinstance(body, list) and body else body)
        data = mapping(event.get("data"))
        fields = (
            mapping(event.get("form"))
            or mapping(mapping(data.get("request")).get("parameters"))
            or (data or event)
        )
        kind = text(fields.get("CallStatus"))
        call_id = identifier(fields.get("CallSid"), data.get("CallSid"), data.get("sid"))
        way = direction(fields.get("Direction"))
        return Facts(
            event_id=identifier(event.get("id")) if data else None,
            event_type=_TYPES.get(kind, kind) if kind else _other_type(event, fields),
            call_id=call_id,
            occurred_at=_rfc2822(fields.get("Timestamp")) or moment(event.get("time")),
            customer_phone=_customer(way, fields),
            direction=way,
            identity=_identity(call_id, fields),
        )

    def length_of(self, body: Any) -> CallLength:
        """Seconds, in a form or in the request that an Event Streams event quotes."""
        event = mapping(body[0] if isinstance(body, list) and body else body)
        quoted = mapping(mapping(event.get("data")).get("request")).get("parameters")
        return CallLength(mapping(first(event.get("form"), quoted)).get("CallDuration"))


def _identity(call_id: str | None, fields: dict[str, Any]) -> Identity | None:
    """The callbacks of a call are numbered, and each recording has an id."""
    if call_id is None:
        return None
    for number in ("SequenceNumber", "RecordingSid"):
        if text(fields.get(number)):
            return (call_id, parts(fields, number, "CallStatus", "RecordingStatus", "Timestamp"))
    return None


def _customer(way: str | None, fields: dict[str, Any]) -> str | None:
    """The other side of the line; None for a leg of `<Dial>`, which leads to whom the customer was transferred."""
    if way is None or text(fields.get("ParentCallSid")):
        return None
    return text(fields.get("From" if way == "inbound" else "To"))


def _other_type(event: dict[str, Any], fields: dict[str, Any]) -> str | None:
    """The type of an event without a call status: a finished recording, or an event of another kind."""
    recording = text(fields.get("RecordingStatus"))
    return f"recording.{recording}" if recording else text(event.get("type"))


def _rfc2822(value: Any) -> datetime | None:
    """`Sun, 25 Mar 2018 09:53:19 +0000` in UTC; anything else is None."""
    if not isinstance(value, str):
        return None
    try:
        parsed = parsedate_to_datetime(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _algorithm(settings: str) -> str | None:
    """The digest named in `key=...,algorithm=HMAC_SHA256`; SHA-1 without a name, None for another one."""
    named = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    return _ALGORITHMS.get((named.get("algorithm") or "HMAC_SHA1").strip().upper())


def _signed_fields(url: str, content_type: str, body: bytes) -> str:
    """What is signed after the address. Raises BadSignature if the address has the digest of another body."""
    if kind_of(content_type)[0] == FORM:
        try:
            fields = form_fields(body)
        except BadBody:
            raise BadSignature(Reason.MALFORMED) from None
        return "".join(name + value for name, value in sorted(set(fields)))
    named = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
    match([hashlib.sha256(body).hexdigest().encode()], [named.encode("utf-8", "replace")])
    return ""


def _with_and_without_port(url: str) -> list[str]:
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    ported = f"{host}:{parts.port or _PORTS.get(parts.scheme, 443)}"
    return [parts._replace(netloc=netloc).geturl() for netloc in (host, ported)]


def _signature(secret: str, signed: str, algorithm: str) -> str:
    key, message = secret.encode("utf-8", "surrogateescape"), signed.encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(key, message, algorithm)).decode()
