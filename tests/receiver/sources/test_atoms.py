import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smallestai.atoms.types.webhook_event_analytics_completed import WebhookEventAnalyticsCompleted
from smallestai.atoms.types.webhook_event_post_conversation import WebhookEventPostConversation
from smallestai.atoms.types.webhook_event_pre_conversation import WebhookEventPreConversation

from receiver.envelope import Facts, line, seal
from receiver.sources import SOURCES
from receiver.sources.base import direction, moment

ATOMS = SOURCES["atoms"]
ID, CALL = "6a20a1b2c4", "CALL-1790932440250-3fa9c1"
CUSTOMER = "+12025550161"


@pytest.mark.parametrize(
    ("name", "model", "kind", "event_id", "occurred_at"),
    [
        (
            "pre-conversation",
            WebhookEventPreConversation,
            "call.start",
            "6a20a1b2c3",
            datetime(2026, 10, 2, 9, 14, 0, 250000, UTC),
        ),
        (
            "post-conversation",
            WebhookEventPostConversation,
            "call.end",
            ID,
            datetime(2026, 10, 2, 9, 15, 7, 600000, UTC),
        ),
        (
            "analytics-completed",
            WebhookEventAnalyticsCompleted,
            "analytics.completed",
            "6a20a1b2c5",
            datetime(2026, 10, 2, 9, 15, 7, 600000, UTC),
        ),
    ],
)
def test_documented_wire_bodies(
    name: str, model: Any, kind: str, event_id: str, occurred_at: datetime, atoms_body: Callable[[str], bytes]
) -> None:
    body = json.loads(atoms_body(name))
    oracle = model.model_validate(body)
    facts = ATOMS.facts(body, {})
    assert facts == Facts(event_id, kind, CALL, occurred_at, CUSTOMER, "outbound")
    metadata = oracle.model_dump(by_alias=True)["metadata"]
    assert facts.call_id == metadata["callId"]
    assert ATOMS.facts(oracle.model_dump(by_alias=True, mode="json"), {}) == facts


@pytest.mark.parametrize(
    ("name", "time_of_day", "phone", "way"),
    [
        ("call.start", "09:20:00", "+12025550162", "inbound"),
        ("call.end", "09:24:10", None, None),
        ("analytics.completed", "09:25:00", None, None),
    ],
)
def test_documented_seed_bodies(
    name: str, time_of_day: str, phone: str | None, way: str | None, atoms_body: Callable[[str], bytes]
) -> None:
    facts = ATOMS.facts(json.loads(atoms_body(f"seed-{name}")), {})
    assert facts == Facts(
        None, name, "call_seed_4711", datetime.fromisoformat(f"2026-10-02T{time_of_day}Z"), phone, way
    )


def test_second_naming() -> None:
    body = {"event": "call.ended", "call_id": "c1", "data": {"caller_phone": "+1", "duration_seconds": 3}}
    assert ATOMS.facts(body, {}) == Facts(event_type="call.end", call_id="c1", customer_phone="+1")
    assert ATOMS.facts({"event": "call.started", "data": {"call_id": "c1"}}, {}).event_type == "call.start"
    assert ATOMS.facts({"event": "recording.ready", "call_id": "c1"}, {}).event_type == "recording.ready"


def _wire(**metadata: Any) -> Facts:
    return ATOMS.facts({"event": "a.post-conversation", "metadata": {"callId": "CALL-1", **metadata}}, {})


def test_wire_customer_follows_direction() -> None:
    numbers = {"fromNumber": "+1", "toNumber": "+2"}
    assert _wire(callData={**numbers, "callDirection": "telephony_inbound"}).customer_phone == "+1"
    assert _wire(callData={**numbers, "callDirection": "telephony_outbound"}).customer_phone == "+2"
    assert _wire(conversationType="telephonyInbound", fromPhone="+3", toPhone="+4").customer_phone == "+3"
    assert _wire(conversationType="webcall", variables={"user_number": "+5"}).customer_phone == "+5"
    assert _wire(callData=numbers).customer_phone is None


def test_wire_without_event_type_takes_the_event_suffix_and_keeps_unknown_ones() -> None:
    assert _wire().event_type == "call.end"
    assert _wire(eventType="voicemail").event_type == "voicemail"


def test_wrong_types_are_unknown() -> None:
    body = {
        "event": 1,
        "call_id": [],
        "timestamp": 5,
        "caller_phone": {},
        "call_direction": True,
        "variables": "x",
    }
    assert ATOMS.facts(body, {}) == Facts()
    assert ATOMS.facts({"call_id": 42}, {}).call_id == "42"
    assert ATOMS.facts({"call_id": True}, {}).call_id is None


@pytest.mark.parametrize(
    "value", ["...", "", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", 3, None, [], "9" * 99]
)
def test_garbage_time_is_unknown(value: Any) -> None:
    assert moment(value) is None


def test_times_come_out_in_utc() -> None:
    expected = datetime(2026, 5, 8, 7, 0, tzinfo=UTC)
    for text in (
        "2026-05-08T07:00:00Z",
        "2026-05-08T07:00:00",
        "2026-05-08 12:30:00+05:30",
        " 20260508T070000Z ",
    ):
        assert moment(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("telephonyInbound", "inbound"), ("telephony_outbound", "outbound"), ("webcall", "web"), ("chat", None)],
)
def test_direction_spellings(value: str, expected: str | None) -> None:
    assert direction(None, 7, value) == expected


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
KEYS = st.sampled_from(
    [
        "event",
        "metadata",
        "data",
        "call_id",
        "timestamp",
        "caller_phone",
        "call_direction",
        "variables",
        "id",
        "type",
        "eventType",
        "callId",
        "callData",
        "endTime",
        "callDirection",
        "conversationType",
        "fromPhone",
        "user_number",
        "direction",
        "customer_phone",
    ]
)
BODY = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=8)
)


@given(BODY, st.sampled_from(sorted(SOURCES)), st.text())
def test_no_body_makes_a_source_raise(body: Any, name: str, header: str) -> None:
    facts = SOURCES[name].facts(body, {"webhook-id": header})
    landed = line(seal(name, facts, b"{}", datetime.now(UTC)), b"{}")
    assert json.loads(landed)["direction"] in {None, "inbound", "outbound", "web"}
