import base64
import hmac
import json
from pathlib import Path

import pytest

from receiver.envelope import Facts
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

SYNTHFLOW = SOURCES["synthflow"]
BODY = (Path(__file__).parent / "bodies" / "synthflow" / "post-call.json").read_bytes()
CALL = "c3a5b6b0-2a1c-4b5f-9d7c-0e5a4f3b2c11"


def as_documented(secret: str, call_id: str = CALL) -> str:
    """By the vendor's page: the base64 of hmac.new(secret, call_id, sha256)."""
    return base64.b64encode(hmac.new(secret.encode(), call_id.encode(), "sha256").digest()).decode()


@pytest.mark.parametrize(
    "header", ["http_synthflow_signature", "http-synthflow-signature", "synthflow-signature"]
)
def test_as_the_vendors_page_signs(header: str) -> None:
    SYNTHFLOW.verify({header: as_documented("s1")}, BODY, ["s0", "s1"], 0)
    assert SYNTHFLOW.sign(BODY, "s1", 0) == {"HTTP_SYNTHFLOW_SIGNATURE": as_documented("s1")}


@pytest.mark.parametrize(
    ("claimed", "body", "reason"),
    [
        (None, BODY, "missing"),
        (as_documented("other"), BODY, "wrong"),
        (as_documented("s1", "another call"), BODY, "wrong"),
        (as_documented("s1"), BODY.replace(CALL.encode(), b"x"), "wrong"),
        ("nonsense", BODY, "malformed"),
        ("é" * 44, BODY, "malformed"),
        (as_documented("s1"), b"", "malformed"),
        (as_documented("s1"), b"{", "malformed"),
        (as_documented("s1"), b"\xff", "malformed"),
        (as_documented("s1"), b"[]", "malformed"),
        (as_documented("s1"), b"[" * 100_000, "malformed"),
        (as_documented("s1", ""), b'{"call": {"call_id": ""}}', "malformed"),
        (as_documented("s1"), b'{"call": {"call_id": "\\ud83d"}}', "wrong"),
    ],
)
def test_what_is_refused(claimed: str | None, body: bytes, reason: str) -> None:
    headers = {} if claimed is None else {"http_synthflow_signature": claimed}
    with pytest.raises(BadSignature, match=reason):
        SYNTHFLOW.verify(headers, body, ["s1"], 0)


def test_the_one_event() -> None:
    assert SYNTHFLOW.facts(json.loads(BODY), {}) == Facts(
        event_type="analytics.completed", call_id=CALL, customer_phone="+12025550143"
    )
