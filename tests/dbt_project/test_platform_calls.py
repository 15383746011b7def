"""What the documented bodies of each platform come to: from the body through the receiver's facts to the marts."""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import orjson
import pytest

from receiver import probe_event
from receiver.body import FORM, parse, parse_form
from receiver.envelope import seal
from receiver.sources import SOURCES

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

BODIES = Path(__file__).parents[1] / "receiver" / "sources" / "bodies"
SEED = Path(__file__).parents[2] / "dbt_project" / "seeds" / "end_reasons.csv"
PLATFORMS = ("livekit", "synthflow", "telnyx", "twilio", "ultravox")
ULTRAVOX_END_REASONS = (
    "unjoined", "hangup", "agent_hangup", "timeout", "connection_error", "system_error",
)  # fmt: skip
"""By the schema *Call Definition* of docs.ultravox.ai."""


def landed(platform: str, body: bytes, is_form: bool, make_event: type["Event"]) -> "Event":
    """The event that the load makes of a body."""
    parsed = parse_form(body) if is_form else parse(body)
    facts = probe_event.facts(parsed) or SOURCES[platform].facts(parsed, {})
    envelope = seal(platform, facts, body, datetime(2026, 10, 6, tzinfo=UTC))
    return make_event(
        platform,
        envelope.event_type or "",
        envelope.call_id,
        orjson.dumps(parsed).decode(),
        envelope.occurred_at and envelope.occurred_at.removesuffix("Z"),
    )


def bodies() -> Iterator[tuple[str, bytes, bool]]:
    """Platform, body and whether it is a form; of each platform also the trial of `aftercall connect`."""
    for platform in PLATFORMS:
        for path in sorted((BODIES / platform).iterdir()):
            yield platform, path.read_bytes(), path.suffix == ".form"
        content_type, body = probe_event.body(SOURCES[platform], "connect-1")
        yield platform, body, content_type == FORM


@pytest.fixture(scope="module")
def built(built_warehouse: Callable[[], "Warehouse"], make_event: type["Event"]) -> "Warehouse":
    """All bodies in one load and one build."""
    warehouse = built_warehouse()
    warehouse.load([landed(*each, make_event) for each in bodies()])
    warehouse.build_pass()
    warnings = ("warn_unknown_event_types", "warn_end_reasons_without_category")
    assert warehouse.dbt("test", "--select", *warnings) == dict.fromkeys(warnings, "pass")
    return warehouse


def call(warehouse: "Warehouse", key: str) -> dict[str, Any]:
    return warehouse.row(f"select * from marts.calls where call_key = '{key}'")


CALLS: dict[str, dict[str, Any]] = {
    "ultravox:5b2f8f0e-1c58-4b0f-9f0e-3f6f0c1d2a41": {
        "agent_id": "9c1a77d2-6f0e-4a67-a0aa-0d6f52f1b7c3", "direction": "outbound",
        "customer_phone": "+12025550143", "agent_phone": "+12025550100", "started": "09:14:09.500012",
        "ended": "09:16:41.900214", "seconds": 152.400202, "status": "completed",
        "category": "customer_hung_up", "parent": None,
    },
    "ultravox:0d8d9a52-3a5d-44cb-8b3c-7be8f4e6c6d0": {
        "direction": "inbound", "customer_phone": "+12025550177", "agent_phone": None, "started": None,
        "ended": "10:00:32", "seconds": None, "status": "no_answer", "category": "no_answer",
    },
    "telnyx:7a0d2f5e-a1b2-11f1-8c7e-02420aef2a10": {
        "agent_id": "assistant-4a1f", "direction": "inbound", "customer_phone": "+12025550143",
        "agent_phone": "+12025550100", "started": "09:14:03.020431", "ended": "09:16:41.900214", "seconds": 158,
        "status": "completed", "category": "other", "parent": None,
    },
    "twilio:CA" + "a" * 32: {
        "direction": "inbound", "customer_phone": "+12025550143", "agent_phone": "+12025550100",
        "started": "09:14:03", "ended": "09:16:41", "seconds": 158, "status": "completed", "category": "other",
        "parent": None,
    },
    "twilio:CA" + "b" * 32: {
        "direction": "outbound", "customer_phone": None, "agent_phone": "+12025550188", "ended": "09:16:10",
        "seconds": 0, "status": "no_answer", "category": "no_answer", "parent": "CA" + "a" * 32,
    },
    "twilio:CA" + "d" * 32: {
        "direction": "outbound", "customer_phone": "+12025550143", "agent_phone": "+12025550100",
        "ended": "11:20:00", "seconds": 49, "status": "completed", "parent": None,
    },
    "twilio:CA" + "e" * 32: {
        "direction": None, "customer_phone": None, "agent_phone": None, "ended": "09:16:41", "seconds": 158,
        "status": "completed", "parent": None,
    },
    "livekit:RM_8yQk2uFz3wXo": {
        "direction": "inbound", "customer_phone": "+12025550143", "agent_phone": "+12025550100",
        "started": "09:14:03", "ended": "09:16:41", "seconds": 158, "status": "completed",
        "category": "customer_hung_up", "parent": None,
    },
    "synthflow:c3a5b6b0-2a1c-4b5f-9d7c-0e5a4f3b2c11": {
        "agent_id": "1d4f0c1e-7a61-4f0a-8a1b-000000000001", "direction": None, "customer_phone": "+12025550143",
        "started": "09:14:02.120000", "ended": "09:16:40.120000", "seconds": 158, "status": "completed",
        "category": "agent_hung_up", "parent": None,
    },
}  # fmt: skip
COLUMNS = {
    "started": "started_at", "ended": "ended_at", "seconds": "duration_seconds",
    "category": "end_reason_category", "parent": "parent_call_id",
}  # fmt: skip


@pytest.mark.parametrize("key", CALLS)
def test_a_call_is_told_in_one_vocabulary(built: "Warehouse", key: str) -> None:
    row = call(built, key)
    values = {}
    for name in CALLS[key]:
        value = row[COLUMNS.get(name, name)]
        value = round(value, 6) if isinstance(value, float) else value
        values[name] = (
            f"{value:%H:%M:%S.%f}".removesuffix(".000000") if isinstance(value, datetime) else value
        )
    assert values == CALLS[key]


def test_there_are_no_other_calls(built: "Warehouse") -> None:
    keys = {row["call_key"] for row in built.rows("select call_key from marts.calls")}
    assert keys == CALLS.keys()
    trials = built.rows(
        "select source, call_id from intermediate.int_events_unioned where event_type = 'aftercall.connect'"
    )
    assert sorted((row["source"], row["call_id"]) for row in trials) == [
        (platform, None) for platform in PLATFORMS
    ]


def turns(warehouse: "Warehouse", source: str) -> list[tuple[str, str]]:
    rows = warehouse.rows(
        f"select role, content from marts.call_turns where source = '{source}' order by turn_number"
    )
    return [(row["role"], row["content"]) for row in rows]


def test_transcripts(built: "Warehouse") -> None:
    assert turns(built, "telnyx") == [
        ("agent", "Good morning, how can I help?"),
        ("customer", "Please put me through to a person."),
        ("agent", "Nobody is free right now, we call you back."),
    ]
    assert turns(built, "synthflow") == [
        ("agent", "Good morning, how can I help?"),
        ("customer", "My invoice is too high."),
        ("agent", "I have corrected it."),
    ]


def test_what_was_measured(built: "Warehouse") -> None:
    rows = built.rows(
        "select source, measure, value_text, reasoning from marts.call_metrics order by source, measure"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("synthflow", "greeting", "partial", "No name was given."),
        ("synthflow", "issue_resolved", "true", "The invoice was corrected."),
        ("telnyx", "issue_resolved", "false", None),
        ("telnyx", "satisfaction_score", "2", None),
        ("telnyx", "summary", "The caller wanted a person and was promised a call back.", None),
    ]


def test_what_is_due(built: "Warehouse") -> None:
    assert {row["source"] for row in built.rows("select source from sync.sync_tickets")} == {"telnyx"}
    noted = {row["call_id"] for row in built.rows("select call_id from sync.sync_crm_notes")}
    assert "CA" + "a" * 32 in noted
    phones = {row["phone"] for row in built.rows("select phone from sync.sync_crm_contacts")}
    assert phones == {"+12025550143", "+12025550177"}


def documented_reasons() -> set[tuple[str, str]]:
    """Why a call can end, by the vendors' own lists: their packages, and the documents where there is none."""
    # here, because every worker of a test run would import all of Telnyx's package
    from livekit.protocol.models import DisconnectReason
    from livekit.protocol.webhook import WebhookEvent
    from telnyx.types.call_hangup import Payload

    (cause,) = [each for each in get_args(Payload.model_fields["hangup_cause"].annotation) if get_args(each)]
    room_end = WebhookEvent.DESCRIPTOR.fields_by_name["room_end_reason"].enum_type
    assert room_end is not None
    livekit = [*DisconnectReason.keys(), *room_end.values_by_name]
    # the defaults are never written, and a room that fell empty gives no reason for its call
    unsaid = {"ROOM_END_UNKNOWN", "ROOM_END_IDLE_TIMEOUT"}
    return {
        *(("telnyx", reason) for reason in get_args(cause)),
        *(("ultravox", reason) for reason in ULTRAVOX_END_REASONS),
        *(("livekit", reason.lower()) for reason in livekit if reason not in unsaid),
        *(("twilio", reason) for reason in ("completed", "busy", "no-answer", "failed", "canceled")),
    }


def test_every_documented_reason_has_a_category() -> None:
    with SEED.open(encoding="utf-8", newline="") as file:
        known = {(row["source"], row["end_reason"]) for row in csv.DictReader(file)}
    reasons = documented_reasons()
    assert len(reasons) > 35
    assert reasons - known == set()
