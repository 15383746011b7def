"""Signatures: known answers, the vendors' own packages, rotation, replay, and everything a hostile header may hold."""

import base64
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix
from hypothesis import given
from hypothesis import strategies as st

from receiver.signatures import (
    TOLERANCE_SECONDS,
    BadSignature,
    Reason,
    hmac_sha256_hex,
    verify_hmac_sha256_hex,
    verify_standard_webhook,
)
from receiver.sources import SOURCES
from receiver.sources.base import CannotSign

# RFC 4231, test case 2
KEY, DATA = "Jefe", b"what do ya want for nothing?"
DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"76543210fedcba9876543210").decode()
NOW = 1793606433
# digits to str.isdigit and int(), but not to anyone who signs
ARABIC_DIGITS = {ord("0") + digit: 0x660 + digit for digit in range(10)}
WIDE_DIGITS = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
ATOMS, GENERIC = SOURCES["atoms"], SOURCES["generic"]
SIGNERS: dict[str, Any] = {"standardwebhooks": standardwebhooks.Webhook, "svix": svix.Webhook}


def reason_of(check: Callable[..., None], *arguments: Any) -> Reason | None:
    """None when the check passes."""
    try:
        check(*arguments)
    except BadSignature as bad:
        return bad.reason
    return None


def hex_reason(claimed: str | None, body: bytes = DATA, secrets: tuple[str, ...] = (KEY,)) -> Reason | None:
    return reason_of(verify_hmac_sha256_hex, claimed, body, secrets)


def signed(
    when: int = NOW, secret: str = SECRET, body: bytes = DATA, signer: str = "standardwebhooks"
) -> dict[str, str]:
    moment = datetime.fromtimestamp(when, UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(when),
        "webhook-signature": SIGNERS[signer](secret).sign("msg_1", moment, body.decode()),
    }


def standard_reason(
    headers: dict[str, str], body: bytes = DATA, secrets: tuple[str, ...] = (SECRET,), now: float = NOW
) -> Reason | None:
    return reason_of(verify_standard_webhook, headers, body, secrets, now)


def test_hex_known_answer() -> None:
    assert hmac_sha256_hex(KEY, DATA) == DIGEST
    assert hex_reason(DIGEST) is None
    assert hex_reason(f" {DIGEST.upper()} ", secrets=("other", KEY)) is None


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        (None, Reason.MISSING),
        ("", Reason.MALFORMED),
        (DIGEST[:-1], Reason.MALFORMED),
        (DIGEST[:-1] + "4", Reason.WRONG),
        (f"{DIGEST},{DIGEST}", Reason.MALFORMED),  # the header twice, as the server joins it
        (DIGEST + "\x00", Reason.MALFORMED),
        (DIGEST[:32] + "\r\nX-Signature: " + DIGEST, Reason.MALFORMED),
        ("sha256=" + DIGEST, Reason.MALFORMED),
        ("é" * 64, Reason.MALFORMED),
        ("\udc80" * 64, Reason.MALFORMED),
        (DIGEST.translate(ARABIC_DIGITS), Reason.MALFORMED),
        (DIGEST.translate(WIDE_DIGITS), Reason.MALFORMED),
        (base64.b64encode(bytes.fromhex(DIGEST)).decode(), Reason.MALFORMED),
        ("0x" + DIGEST[2:], Reason.MALFORMED),
        (DIGEST * 10_000, Reason.MALFORMED),
    ],
)
def test_hex_forms(claimed: str | None, reason: Reason | None) -> None:
    assert hex_reason(claimed) is reason


def test_hex_covers_every_byte_and_the_secret() -> None:
    assert hex_reason(DIGEST, DATA + b" ") is Reason.WRONG
    assert hex_reason(DIGEST, b"\xef\xbb\xbf" + DATA) is Reason.WRONG
    assert hex_reason(DIGEST, secrets=("new", "old")) is Reason.WRONG
    assert hex_reason(DIGEST, secrets=(os.fsdecode(b"secret\xff"),)) is Reason.WRONG
    assert hex_reason(hmac_sha256_hex("नया", b"\xff\x00"), b"\xff\x00", ("old", "नया")) is None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x-signature": DIGEST}, None),
        ({"x-atoms-signature": f"sha256={DIGEST}"}, None),
        ({"x-atoms-signature": f"SHA256={DIGEST.upper()}"}, None),
        ({"x-signature": "bad", "x-atoms-signature": f"sha256={DIGEST}"}, None),
        ({"x-signature": DIGEST, "x-atoms-signature": "sha256=bad"}, None),
        ({"x-atoms-signature": DIGEST}, Reason.MALFORMED),
        ({"x-atoms-signature": f"sha1={DIGEST}"}, Reason.MALFORMED),
        ({"x-signature": f"sha256={DIGEST}"}, Reason.MALFORMED),
        ({"x-signature": "0" * 64, "x-atoms-signature": DIGEST}, Reason.WRONG),
        ({"x-atoms-signature": "sha256=" + "0" * 64}, Reason.WRONG),
        ({}, Reason.MISSING),
    ],
)
def test_either_atoms_header_is_enough(headers: dict[str, str], reason: Reason | None) -> None:
    assert reason_of(ATOMS.verify, headers, DATA, ["new", KEY], NOW) is reason


def test_standard_webhook_known_answer() -> None:
    # the example of the Standard Webhooks and Svix documentation
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert standard_reason(headers, b'{"test": 2432232314}', (secret,), 1614265330) is None


@pytest.mark.parametrize("signer", SIGNERS)
@given(
    body=st.text().map(str.encode),
    key=st.binary(min_size=24, max_size=64),
    when=st.integers(0, 9_999_999_999),
)
def test_what_the_vendors_packages_sign_is_believed(signer: str, body: bytes, key: bytes, when: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed(when, secret, body, signer)
    assert standard_reason(headers, body, (OLD_SECRET, secret), when) is None
    assert standard_reason(headers, body, (OLD_SECRET,), when) is Reason.WRONG
    assert standard_reason(headers, body + b" ", (secret,), when) is Reason.WRONG


def test_what_is_believed_the_vendors_packages_believe() -> None:
    headers = signed(int(datetime.now(UTC).timestamp()))
    assert standard_reason(headers, now=float(headers["webhook-timestamp"])) is None
    standardwebhooks.Webhook(SECRET).verify(DATA, headers, json_parse=False)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OLD_SECRET).verify(DATA, headers, json_parse=False)


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), SECRET.rstrip("=")])
def test_secret_with_and_without_its_prefix_and_padding(secret: str) -> None:
    assert standard_reason(signed(), secrets=(OLD_SECRET, secret)) is None


@pytest.mark.parametrize("secret", ["plain text!", "whsec_", "whsec_é", "whsec_AAA-_AAA", "a"])
def test_a_secret_that_is_no_key_is_named_as_the_reason_and_hides_no_other(secret: str) -> None:
    assert standard_reason(signed(), secrets=(secret,)) is Reason.UNUSABLE_SECRET
    assert standard_reason(signed(), secrets=(secret, SECRET)) is None


@pytest.mark.parametrize(
    ("off", "reason"),
    [(-TOLERANCE_SECONDS - 1, Reason.EXPIRED), (-TOLERANCE_SECONDS, None), (0, None),
     (TOLERANCE_SECONDS, None), (TOLERANCE_SECONDS + 1, Reason.EXPIRED)],
)  # fmt: skip
def test_standard_webhook_replay_window(off: int, reason: Reason | None) -> None:
    assert standard_reason(signed(NOW + off)) is reason


def test_an_old_time_that_nobody_signed_is_wrong_and_not_expired() -> None:
    assert standard_reason(signed() | {"webhook-timestamp": "1"}) is Reason.WRONG


@pytest.mark.parametrize(
    "timestamp",
    ["now", "-1", "+1793606433", " 1793606433", "1793606433.0", "1_793_606_433", "1e9", "1" * 13, "9" * 100_000,
     str(NOW).translate(ARABIC_DIGITS), str(NOW).translate(WIDE_DIGITS), "1793606433,1793606433", "inf", "nan", "²"],
)  # fmt: skip
def test_timestamps_are_plain_digits(timestamp: str) -> None:
    assert standard_reason(signed() | {"webhook-timestamp": timestamp}) is Reason.MALFORMED


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_standard_webhook_header_is_needed(header: str) -> None:
    headers = signed()
    assert standard_reason(headers | {header: ""}) is Reason.MISSING
    del headers[header]
    assert standard_reason(headers) is Reason.MISSING


CLAIM = signed()["webhook-signature"].removeprefix("v1,")
WRONG_CLAIM = signed(secret=OLD_SECRET)["webhook-signature"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (f"v1,{CLAIM}", None),
        (f"{WRONG_CLAIM} v1,{CLAIM}", None),  # a sender that signs with the old secret and the new one
        (f"v1a,xx v1,yy v1,{CLAIM}", None),
        (WRONG_CLAIM, Reason.WRONG),
        (f"v1,{CLAIM},v1,{CLAIM}", Reason.MALFORMED),  # the header twice, as the server joins it
        (f"v1,{CLAIM.rstrip('=')}", Reason.MALFORMED),
        (f"v1,{CLAIM}=", Reason.MALFORMED),
        (f"v1,{CLAIM}\n", Reason.MALFORMED),
        (f"v1, {CLAIM}", Reason.MALFORMED),
        (f"v1,{CLAIM[:9]}\t{CLAIM[9:]}", Reason.MALFORMED),
        (f"v1,-_{CLAIM[2:]}", Reason.MALFORMED),
        (f"V1,{CLAIM}", Reason.MALFORMED),
        (f"v2,{CLAIM}", Reason.MALFORMED),
        (f"v1a,{CLAIM}", Reason.MALFORMED),
        (CLAIM, Reason.MALFORMED),
        (f"v1,{base64.b64decode(CLAIM).hex()}", Reason.MALFORMED),
        ("v1,é", Reason.MALFORMED),
        ("v1,=", Reason.MALFORMED),
        ("v1", Reason.MALFORMED),
        (",", Reason.MALFORMED),
        (" " * 100_000, Reason.MALFORMED),
    ],
)
def test_standard_webhook_claims(claims: str, reason: Reason | None) -> None:
    assert standard_reason(signed() | {"webhook-signature": claims}) is reason


def test_the_last_bits_of_base64_are_no_second_spelling() -> None:
    # 43 characters carry two bits more than 32 bytes; a decoder would drop them
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = CLAIM[:42] + alphabet[alphabet.index(CLAIM[42]) ^ 1] + "="
    assert base64.b64decode(twin) == base64.b64decode(CLAIM)
    assert standard_reason(signed() | {"webhook-signature": f"v1,{twin}"}) is Reason.WRONG


ANY_TEXT = st.text(st.characters(codec=None))


@pytest.mark.parametrize("name", SOURCES)
@given(data=st.data(), body=st.binary(), secrets=st.lists(st.text(min_size=1), max_size=3))
def test_no_header_raises_anything_but_bad_signature(
    name: str, data: st.DataObject, body: bytes, secrets: list[str]
) -> None:
    source = SOURCES[name].at("https://hooks.example.com/webhooks/x")
    known = {header.lower(): value for header, value in _as_signed(source).items()}
    # what one header says does not excuse what another does, so some stand as they would if all were well
    headers = {
        header.lower(): data.draw(ANY_TEXT | st.just(known.get(header.lower(), "")))
        for header in source.signature_headers
    }
    assert reason_of(source.verify, headers, body + b"!", [*secrets, SECRET], NOW) is not None


def _as_signed(source: Any) -> dict[str, str]:
    """The headers over another body."""
    try:
        headers: dict[str, str] = source.sign(DATA, SECRET, NOW)
    except CannotSign:
        return {}
    return headers


def test_the_documentation_names_every_source_and_its_headers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "receiver.md").read_text()
    table = page.partition("## Signatures")[2].partition("For atoms")[0]
    for source in SOURCES.values():
        rows = [row for row in table.splitlines() if re.match(rf"\| {source.name}\b", row)]
        assert f"`{source.signature_headers[0]}" in "".join(rows), source.name
