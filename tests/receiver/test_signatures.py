import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from receiver.signatures import hmac_sha256_hex, is_hmac_sha256_hex, is_standard_webhook
from receiver.sources import SOURCES

ATOMS = SOURCES["atoms"]
# RFC 4231, test case 2
KEY, DATA = "Jefe", b"what do ya want for nothing?"
DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"76543210fedcba9876543210").decode()


def test_known_answer() -> None:
    assert hmac_sha256_hex(KEY, DATA) == DIGEST
    assert is_hmac_sha256_hex(f" {DIGEST.upper()} ", DATA, ["other", KEY])


@pytest.mark.parametrize(
    "claimed", ["", DIGEST[:-1], DIGEST[:-1] + "4", "é" * 64, "\udc80", "sha256=" + DIGEST]
)
def test_wrong_digests_do_not_match(claimed: str) -> None:
    assert not is_hmac_sha256_hex(claimed, DATA, [KEY])


def test_either_atoms_header_is_enough() -> None:
    assert ATOMS.verify({"x-signature": DIGEST}, DATA, [KEY])
    assert ATOMS.verify({"x-atoms-signature": f"sha256={DIGEST}"}, DATA, [KEY])
    assert ATOMS.verify({"x-signature": "bad", "x-atoms-signature": f"sha256={DIGEST}"}, DATA, ["new", KEY])
    assert not ATOMS.verify({"x-atoms-signature": DIGEST}, DATA, [KEY])
    assert not ATOMS.verify({"x-signature": DIGEST}, DATA + b" ", [KEY])
    assert not ATOMS.verify({}, DATA, [KEY])


def _headers(when: datetime, secret: str = SECRET) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", when, DATA.decode()),
    }


def test_standard_webhook_and_rotation() -> None:
    headers = _headers(datetime.now(UTC))
    assert is_standard_webhook(headers, DATA, [SECRET])
    assert is_standard_webhook(headers, DATA, [OLD_SECRET, SECRET])
    assert not is_standard_webhook(headers, DATA, [OLD_SECRET])
    assert not is_standard_webhook(headers, DATA + b" ", [SECRET])


@pytest.mark.parametrize("minutes", [-6, 6])
def test_standard_webhook_outside_five_minutes(minutes: int) -> None:
    assert not is_standard_webhook(_headers(datetime.now(UTC) + timedelta(minutes=minutes)), DATA, [SECRET])


@pytest.mark.parametrize("signature", ["v1", "garbage", "v1a,xx v1,yy", "v1,é", "v1,=", ",", ""])
def test_hostile_standard_webhook_headers_fail_quietly(signature: str) -> None:
    headers = _headers(datetime.now(UTC)) | {"webhook-signature": signature}
    assert not is_standard_webhook(headers, DATA, [SECRET])


@given(st.text(), st.text(), st.text(), st.binary(), st.text(min_size=1))
def test_no_header_makes_a_check_raise(a: str, b: str, c: str, body: bytes, secret: str) -> None:
    headers = {"webhook-id": a, "webhook-timestamp": b, "webhook-signature": c, "x-signature": a}
    assert not is_standard_webhook(headers, body, [secret, SECRET])
    assert not ATOMS.verify(headers | {"x-atoms-signature": f"sha256={b}"}, body, [SECRET])
