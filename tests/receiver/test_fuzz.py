"""A receiver under machine-made requests: every answer is a documented one, and the load takes every line kept.

The last is checked when the tests of this module are over, for all that they sent.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.config import OrchestrationSettings
from orchestration.load import lines
from orchestration.warehouse import memory_connection
from receiver.body import MAX_DEPTH, depth_over
from receiver.openapi import openapi
from receiver.sources import SOURCES
from tests.homes import landing_of

OPERATIONS = [(method, path) for path, item in openapi()["paths"].items() for method in item]
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def receiver(start_receiver: Callable[..., Any]) -> Iterator[str]:
    url, home, _ = start_receiver(receiver_repeats="0")  # what is counted is what is landed
    yield url
    events, rejected = loaded(home)
    assert rejected == []
    assert events == accepted(url) > 0


def loaded(home: Path) -> tuple[int, list[dict[str, Any]]]:
    """How many events the load makes of a landing store, and the lines that it cannot take."""
    store, events, rejected = landing_of(home), 0, []
    with memory_connection(OrchestrationSettings()) as connection:
        for segment in store.segments():
            parsed = lines.parse(connection, store.read(segment.path, 0, 1 << 30).data, 0)
            events += parsed.events.num_rows
            rejected += parsed.rejected.to_pylist()
    return events, rejected


def accepted(url: str) -> int:
    """How many deliveries the receiver says it took."""
    text = requests.get(f"{url}/metrics", timeout=20).text
    counts = [line for line in text.splitlines() if line.startswith("aftercall_receiver_events_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in counts)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_a_described_one(method: str, path: str, receiver: str) -> None:
    import schemathesis  # here, because it takes seconds, in every worker of a test run

    operation = schemathesis.openapi.from_dict(openapi())[path][method]

    @FUZZ
    @given(operation.as_strategy())
    def answer(case: Any) -> None:
        case.call_and_validate(base_url=receiver, timeout=30)

    answer()


# JSON as text, so that it holds what no Python value can: duplicate keys, odd numbers, spaces between tokens
SPACE = st.sampled_from(["", "", "", " ", "\n", "\r\n", "\t"])
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
ESCAPED = st.text(st.characters(codec=None)).map(json.dumps)
PLAIN = st.text(st.characters(codec="utf-8")).map(lambda text: json.dumps(text, ensure_ascii=False))
WORDS = st.sampled_from(
    ["pre-conversation", "post-conversation", "analytics-completed", "call.end", "a1.pre-conversation", "inbound",
     "telephonyOutbound", "+15551234567", "CALL-9999999999999-abcdef", "CALL-0000000000000-000000",
     "2026-11-02T08:00:33Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-02", "\ud83d", "\x00",
     "x" * 300]
).map(json.dumps)  # fmt: skip
KEYS = st.sampled_from(
    ["event", "id", "metadata", "eventType", "callId", "call_id", "callData", "conversationType", "callDirection",
     "fromPhone", "toPhone", "fromNumber", "toNumber", "endTime", "variables", "user_number", "data", "type",
     "timestamp", "caller_phone", "call_direction", "customer_phone", "direction", "payload", "event_id", "message",
     "call", "status", "customer", "number", "endedAt", "start_timestamp", "end_timestamp", "inbound",
     "started_at", "call_length", "corrected_duration", "event_type", "call_session_id", "call_leg_id", "occurred_at",
     "form", "CallSid", "CallStatus", "Timestamp", "room", "sid", "participant", "attributes", "createdAt"]
).map(json.dumps)  # fmt: skip
LEAVES = st.sampled_from(["null", "true", "false"]) | NUMBERS | ESCAPED | PLAIN | WORDS


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(SPACE, KEYS | ESCAPED, SPACE, st.just(":"), SPACE, inner, SPACE).map("".join)
    item = st.tuples(SPACE, inner, SPACE).map("".join)
    return st.lists(pair, max_size=8).map(lambda pairs: "{" + ",".join(pairs) + "}") | st.lists(
        item, max_size=4
    ).map(lambda items: "[" + ",".join(items) + "]")


VALUES = st.recursive(LEAVES, _around, max_leaves=30)
# two levels around them, so that most are events of some dialect
JSON = st.tuples(SPACE, VALUES | _around(_around(VALUES)), SPACE).map("".join)


def post(url: str, source: str, body: bytes, **headers: str) -> requests.Response:
    return requests.post(
        f"{url}/webhooks/{source}",
        data=body,
        headers={"Content-Type": "application/json"} | headers,
        timeout=30,
    )


def test_all_json_is_accepted(receiver: str) -> None:
    @settings(FUZZ, max_examples=200)
    @given(JSON, st.sampled_from(sorted(SOURCES)))
    def run(text: str, source: str) -> None:
        answer = post(receiver, source, text.encode())
        assert answer.status_code == 200, answer.text
        assert 0 < len(answer.json()["event_id"]) <= 255

    run()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON with a piece cut out, doubled or replaced by bytes of any kind."""
    body = draw(JSON).encode()
    start, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return body[:start] + draw(st.binary(max_size=4) | st.just(body[start:end] * 2)) + body[end:]


def is_json(body: bytes) -> bool:
    """By the standard library, which is no part of the receiver's usual road."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(body.removeprefix(b"\xef\xbb\xbf").decode(), parse_constant=refuse, parse_int=len)
    except ValueError:
        return False
    return not depth_over(body, MAX_DEPTH)


def test_what_is_not_json_is_refused_and_nothing_else(receiver: str) -> None:
    @FUZZ
    @given(damaged() | st.binary())
    def run(body: bytes) -> None:
        answer = post(receiver, "atoms", body)
        assert answer.status_code == (200 if is_json(body) else 400), answer.text

    run()


VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


def test_no_header_makes_it_fail(receiver: str) -> None:
    @FUZZ
    @given(st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "x-request-id", "Content-Type", "Content-Encoding",
                         "Accept", "Host", "Cookie", "Authorization", "Expect", "X-Forwarded-For"]),
        VISIBLE.map(str.strip),
    ))  # fmt: skip
    def run(headers: dict[str, str]) -> None:
        answer = post(receiver, "generic", b'{"type": "call.end"}', **headers)
        assert answer.status_code in {200, 400, 401, 415}, answer.text

    run()
