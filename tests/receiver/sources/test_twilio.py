import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from werkzeug.datastructures import MultiDict

from receiver.body import FORM, parse_form
from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

TWILIO = SOURCES["twilio"]
BODIES = Path(__file__).parent / "bodies" / "twilio"
BODY = (BODIES / "completed.form").read_bytes()
STREAM = (BODIES / "event-stream.json").read_bytes()
URL = "https://hooks.example.com/webhooks/twilio"
CALL, CHILD = "CA" + "a" * 32, "CA" + "b" * 32
NAMES = st.sampled_from(["CallSid", "From", "Body", "a", ""]) | st.text(max_size=5)


def by_vendor(
    url: str, body: bytes, secret: str = "s1", algorithm: str | None = None, form: bool = True
) -> dict[str, str]:
    fields = MultiDict(parse_qsl(body.decode(), keep_blank_values=True)) if form else {}
    signature = RequestValidator(secret).compute_signature(url, fields, algorithm)
    headers = {"x-twilio-signature": signature, "content-type": FORM if form else "application/json"}
    if algorithm:
        headers["x-twilio-webhooks-signature-settings"] = f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    return headers


@pytest.mark.parametrize("algorithm", [None, "HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize(
    "url",
    [URL, f"{URL}?tenant=7&x=%C3%A9", URL.replace(".com", ".com:443"), URL.replace(".com", ".com:8443")],
)
def test_forms_signed_by_the_vendors_package(url: str, algorithm: str | None) -> None:
    TWILIO.at(url).verify(by_vendor(url, BODY, algorithm=algorithm), BODY, ["s0", "s1"], 0)


def test_either_way_of_writing_the_port_is_signed() -> None:
    ported = URL.replace(".com", ".com:443")
    TWILIO.at(URL).verify(by_vendor(ported, BODY), BODY, ["s1"], 0)
    TWILIO.at(ported).verify(by_vendor(URL, BODY), BODY, ["s1"], 0)


@given(st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=12))
def test_any_form_is_read_as_the_vendors_package_reads_it(fields: list[tuple[str, str]]) -> None:
    body = urlencode(fields, errors="replace").encode()
    TWILIO.at(URL).verify(by_vendor(URL, body), body, ["s1"], 0)


def test_json_is_signed_through_the_address() -> None:
    url = f"{URL}?bodySHA256={hashlib.sha256(STREAM).hexdigest()}"
    headers = by_vendor(url, STREAM, form=False)
    assert RequestValidator("s1").validate(url, STREAM.decode(), headers["x-twilio-signature"])
    TWILIO.at(url).verify(headers, STREAM, ["s1"], 0)
    with pytest.raises(BadSignature, match="wrong"):
        TWILIO.at(url).verify(headers, b"[]", ["s1"], 0)
    with pytest.raises(BadSignature, match="wrong"):
        TWILIO.at(URL).verify(by_vendor(URL, STREAM, form=False), STREAM, ["s1"], 0)


def test_ours_is_believed_by_the_vendors_package() -> None:
    headers = TWILIO.at(URL).sign(BODY, "s1", 0)
    fields = MultiDict(parse_qsl(BODY.decode(), keep_blank_values=True))
    assert RequestValidator("s1").validate(URL, fields, headers["X-Twilio-Signature"])


@pytest.mark.parametrize(
    ("url", "headers", "body", "reason"),
    [
        (URL, {"x-twilio-signature": ""}, BODY, "missing"),
        (URL, {"x-twilio-signature": "nonsense"}, BODY, "malformed"),
        (URL, {"x-twilio-webhooks-signature-settings": "algorithm=MD5"}, BODY, "malformed"),
        (None, {}, BODY, "no_address"),
        ("https://other.example/webhooks/twilio", {}, BODY, "wrong"),
        (f"{URL}?x=1", {}, BODY, "wrong"),
        (URL, {}, BODY + b"&More=1", "wrong"),
        (URL, {}, b"a=%FF", "wrong"),
        (URL, {}, b"\xff", "malformed"),
        (URL, {}, b"a&" * 2_000, "malformed"),
        (URL, {"content-type": "application/json"}, BODY, "wrong"),
        (f"{URL}?bodySHA256=é", {"content-type": "application/json"}, BODY, "wrong"),
    ],
)
def test_what_is_refused(url: str | None, headers: dict[str, str], body: bytes, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        TWILIO.at(url).verify(by_vendor(URL, BODY) | headers, body, ["s1"], 0)


@pytest.mark.parametrize(
    ("name", "kind", "call", "moment", "phone", "way"),
    [
        ("initiated", "call.start", CALL, "09:14:02", "+12025550143", "inbound"),
        ("answered", "call.start", CALL, "09:14:03", "+12025550143", "inbound"),
        ("completed", "call.end", CALL, "09:16:41", "+12025550143", "inbound"),
        ("child-completed", "call.end", CHILD, "09:16:10", None, "outbound"),
        ("recording", "recording.completed", CALL, None, None, None),
    ],
)
def test_envelopes_of_forms(
    name: str, kind: str, call: str, moment: str | None, phone: str | None, way: str | None
) -> None:
    at = moment and datetime.fromisoformat(f"2026-10-05T{moment}+00:00")
    facts = TWILIO.facts(parse_form((BODIES / f"{name}.form").read_bytes()), {})
    assert facts == Facts(None, kind, call, at or None, phone, way)


def test_envelope_of_an_event_stream() -> None:
    at = datetime(2026, 10, 5, 11, 20, tzinfo=UTC)
    expected = Facts("EZ" + "c" * 32, "call.end", "CA" + "d" * 32, at, "+12025550143", "outbound")
    assert TWILIO.facts(json.loads(STREAM), {}) == expected
    assert TWILIO.facts(json.loads(STREAM)[0], {}) == expected


@pytest.mark.parametrize("value", ["", "yesterday", "Sun, 99 Mar 2018 09:53:19 +0000", 5, [], None, "9" * 99])
def test_garbage_time_is_unknown(value: object) -> None:
    assert TWILIO.facts({"CallStatus": "completed", "Timestamp": value}, {}).occurred_at is None
