"""Landing bytes to rows: what is an event, what is repaired, what is rejected and where it stood."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.config import OrchestrationSettings
from orchestration.load.lines import Parsed, parse, repaired
from orchestration.warehouse import Connection, memory_connection


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with memory_connection(OrchestrationSettings()) as opened:
        yield opened


def line(payload: str = '{"a": 1}', **other: Any) -> bytes:
    envelope: dict[str, Any] = {
        "event_id": "e1", "source": "atoms", "event_type": "call.end", "call_id": "c1",
        "occurred_at": "2026-11-02T08:00:00.000001Z", "received_at": "2026-11-02T08:00:01.000000Z",
        "customer_phone": None, "direction": "inbound", **other,
    }  # fmt: skip
    return (json.dumps(envelope)[:-1] + ', "payload": ' + payload + "}\n").encode()


def rows(parsed: Parsed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parsed.events.to_pylist()
    return found


def test_an_event_keeps_its_fields_and_its_body(connection: Connection) -> None:
    (event,) = rows(parse(connection, line('{"n": 49.350622, "t": "नमस्ते"}'), 0))
    assert event["event_id"] == "e1"
    assert event["received_at"].isoformat() == "2026-11-02T08:00:01"
    assert event["occurred_at"].microsecond == 1
    assert json.loads(event["payload"]) == {"n": 49.350622, "t": "नमस्ते"}


def test_no_call_id_still_has_a_key(connection: Connection) -> None:
    first, second, same = rows(
        parse(
            connection,
            line(call_id=None) + line() + line(call_id=None, received_at="2026-11-03T00:00:00Z"),
            0,
        )
    )
    assert first["event_key"] == same["event_key"] != second["event_key"]


def test_a_cut_emoji_is_repaired(connection: Connection) -> None:
    cut = line(r'{"s": "so \ud83d", "whole": "\ud83d\ude00", "slash": "\\ud83d"}')
    parsed = parse(connection, line(event_id="before") + cut + line(event_id="after"), 0)
    assert [event["event_id"] for event in rows(parsed)] == ["before", "e1", "after"]
    assert json.loads(rows(parsed)[1]["payload"]) == {"s": "so �", "whole": "😀", "slash": r"\ud83d"}
    assert parsed.rejected.num_rows == 0


@pytest.mark.parametrize(
    "payload",
    ["null", "true", "-0.0", '"te\\u0000x\\nt"', '"null"', "[]", "12345678901234567890123"],
)
def test_a_body_that_is_no_object_is_still_json(connection: Connection, payload: str) -> None:
    parsed = parse(connection, line(payload), 0)
    assert parsed.rejected.num_rows == 0
    assert [event["payload"] for event in rows(parsed)] == [payload]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{torn\n", "not JSON"),
        (b"\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b'"text"\n', "no event_id"),
        (line(event_id=None), "no event_id"),
        (line(source=None), "no source"),
        (line(received_at="yesterday"), "no received_at"),
        (b'{"event_id": "e", "source": "s", "received_at": "2026-01-01T00:00:00Z"}\n', "no payload"),
    ],
)
def test_what_is_no_event_is_rejected_with_its_place(connection: Connection, bad: bytes, reason: str) -> None:
    before = line(event_id="before")
    parsed = parse(connection, before + bad + line(event_id="after"), 1_000)
    assert [event["event_id"] for event in rows(parsed)] == ["before", "after"]
    (rejected,) = parsed.rejected.to_pylist()
    assert rejected["position"] == 1_000 + len(before)
    assert rejected["reason"] == reason


def test_deep_and_long_lines_are_events(connection: Connection) -> None:
    deep = line('{"d": ' + "[" * 499 + "]" * 499 + "}", event_id="deep")
    long = line(json.dumps({"t": "x" * (4 << 20)}), event_id="long")
    assert [event["event_id"] for event in rows(parse(connection, deep + long, 0))] == ["deep", "long"]


def test_repair_leaves_whole_pairs_and_plain_text_alone() -> None:
    assert repaired(r"\ud83d\ude00 \\ud83d A") == r"\ud83d\ude00 \\ud83d A"
    assert repaired(r"\ude00\ud83d") == r"\ufffd\ufffd"


def test_ids_that_hold_the_separator_share_no_key(connection: Connection) -> None:
    parts = ["", "a", "\x1f", "a\x1f", "\x1fa", "1\x1fa", "a\x1fa"]
    ids = [(call_id, event_id) for call_id in parts for event_id in parts if event_id]
    written = b"".join(line(call_id=call_id, event_id=event_id) for call_id, event_id in ids)
    keys = [event["event_key"] for event in rows(parse(connection, written, 0))]
    assert len(set(keys)) == len(ids)
    plain = hashlib.md5(b"atoms\x1fc1\x1fe1").hexdigest()
    assert rows(parse(connection, line(), 0))[0]["event_key"] == plain, "an ordinary key stays what it was"
