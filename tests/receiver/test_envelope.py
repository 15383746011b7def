import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from receiver.envelope import Facts, body_id, line, safe_id, safe_text, seal

NOW = datetime(2026, 11, 2, 9, 0, 33, 621000, tzinfo=timezone(timedelta(hours=1)))
FIELDS = [
    "event_id",
    "source",
    "event_type",
    "call_id",
    "occurred_at",
    "received_at",
    "customer_phone",
    "direction",
]


def test_line_has_the_contract_order_and_the_body_as_sent() -> None:
    body = b'{"n": 1.10,\r\n "z": 1, "a": 2, "a": 3, "t": "\\ud83d\\n"}'
    landed = line(seal("atoms", Facts(call_id="c", occurred_at=NOW), body, NOW), body)
    assert list(json.loads(landed)) == [*FIELDS, "payload"]
    assert landed.endswith(b',"payload":{"n": 1.10,   "z": 1, "a": 2, "a": 3, "t": "\\ud83d\\n"}}\n')
    assert json.loads(landed)["occurred_at"] == "2026-11-02T08:00:33.621000Z"
    assert json.loads(landed)["event_type"] is None


def test_id_is_the_platforms_or_a_hash_of_source_and_body() -> None:
    assert seal("atoms", Facts(event_id="d1"), b"{}", NOW).event_id == "d1"
    hashed = seal("atoms", Facts(), b"{}", NOW).event_id
    assert hashed == "sha256:" + hashlib.sha256(b"atoms\n{}").hexdigest()
    assert hashed != body_id("generic", b"{}")


def test_ids_that_cannot_be_stored_become_their_digest() -> None:
    for bad in ("x" * 256, "a\nb", "a\x00", "cut \ud83d", "x" * 100_000):
        digest = hashlib.sha256(bad.encode("utf-8", "surrogatepass")).hexdigest()
        assert safe_id(bad) == f"sha256:{digest}"
    assert safe_id("x" * 255) == "x" * 255
    assert safe_id("नमस्ते 😀") == "नमस्ते 😀"
    assert safe_id("  ") is None
    assert safe_id(None) is None


def test_texts_are_trimmed_or_unknown() -> None:
    assert safe_text(" +1 555 ") == "+1 555"
    assert [safe_text(bad) for bad in ("", " ", "x" * 256, "a\x07b", "\ud83d", None)] == [None] * 6


TEXT = st.none() | st.text(st.characters(codec=None))


@given(TEXT, TEXT, TEXT, TEXT, st.none() | st.datetimes(timezones=st.just(UTC)))
def test_whatever_the_facts_a_line_is_one_line_of_json(
    event: str | None, kind: str | None, call: str | None, phone: str | None, when: datetime | None
) -> None:
    facts = Facts(event, kind, call, when, phone, None)
    landed = line(seal("atoms", facts, b"[\n1]", NOW), b"[\n1]")
    assert landed.count(b"\n") == 1
    assert json.loads(landed)["payload"] == [1]
    assert json.loads(landed)["event_id"]
