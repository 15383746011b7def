"""What the marts make of events that break pipelines, call by call."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse

CALL = """
select * exclude (issue_type, updated_at), outcomes.issue_type
from marts.calls inner join marts.call_outcomes as outcomes using (call_key, source, call_id, updated_at)
where call_key = '{}'
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("call_key", "expected"),
    [
        pytest.param(
            "atoms:late",
            {
                "customer_phone": "+12025550101",
                "direction": "inbound",
                "started_at": at("2026-11-02T08:00:00"),
                "ended_at": at("2026-11-02T08:05:00"),
                "call_date": date(2026, 11, 2),
                "duration_seconds": 300,
                "turn_count": 2,
                "summary": "Agent: Hello, how can I help? Customer: My invoice is wrong.",
                "satisfaction_score": 2,
                "is_resolved": False,
                "needs_follow_up": True,
                "issue_type": "billing",
            },
            id="analytics before the end, start last",
        ),
        pytest.param(
            "atoms:corrected",
            {
                "customer_phone": "+12025550102",
                "direction": "outbound",
                "duration_seconds": 600,
                "disposition": "successful",
                "turn_count": 2,
                "is_vip": True,
                "sentiment": "unknown",
            },
            id="the later end counts, what only the first says stays",
        ),
        pytest.param(
            "atoms:no-start",
            {
                "customer_phone": "+12025550103",
                "direction": None,
                "started_at": at("2026-11-02T08:18:43.500"),
                "duration_seconds": 76.5,
                "turn_count": 0,
                "summary": None,
                "is_transfer_requested": True,
                "is_resolved": False,
                "status": "completed",
            },
            id="no start",
        ),
        pytest.param(
            "atoms:no-end",
            {"status": "in_progress", "ended_at": None, "duration_seconds": None, "is_resolved": None},
            id="no end",
        ),
        pytest.param(
            "atoms:analytics-only",
            {"satisfaction_score": 5, "is_resolved": True, "sentiment": "positive", "status": "completed"},
            id="analytics alone, values as text",
        ),
        pytest.param(
            "atoms:CALL-1793606504493-9fa40d",
            {
                "direction": "outbound",
                "customer_phone": "+916296641821",
                "agent_phone": "+918035317096",
                "duration_seconds": 180,
                "disposition": "completed_goal",
                "is_resolved": True,
                "summary": "Paid.",
                "satisfaction_score": 4,
            },
            id="wire dialect, milliseconds as text",
        ),
        pytest.param(
            "atoms:unanswered",
            {"status": "no_answer", "customer_phone": None, "duration_seconds": 0, "disposition": None},
            id="nobody answered",
        ),
        pytest.param(
            "atoms:types",
            {
                "direction": None,
                "customer_phone": None,
                "duration_seconds": 60,
                "turn_count": 1,
                "satisfaction_score": None,
                # only the agent spoke, so that the call reached nobody
                "is_resolved": None,
                "sentiment": "unknown",
                "is_transfer_requested": False,
                "needs_follow_up": False,
                "is_vip": False,
            },
            id="wrong types",
        ),
        pytest.param(
            "atoms:hostile",
            {"duration_seconds": None, "ended_at": None, "turn_count": 2, "is_resolved": None},
            id="hostile JSON",
        ),
        pytest.param(
            "atoms:third",
            {
                "customer_phone": "+12025550105",
                "summary": "A summary.",
                "disposition": "successful",
                "recording_url": "https://example.com/third.wav",
            },
            id="third naming; an unknown event has the least say",
        ),
        pytest.param("atoms:recording-only", {"status": "unknown"}, id="only an unknown event"),
        pytest.param(
            "generic:late",
            {
                "customer_phone": "+15555550100",
                "started_at": at("2026-11-02T08:00:00"),
                "agent_id": "agent-9",
                "is_vip": True,
                "is_transfer_requested": True,
                "sentiment": "neutral",
            },
            id="the same call id from another platform is another call",
        ),
        pytest.param("atoms:moved", {"customer_phone": "+12025550107"}, id="a named number beats a variable"),
    ],
)
def test_call(awkward: "Warehouse", call_key: str, expected: dict[str, Any]) -> None:
    row = awkward.row(CALL.format(call_key))
    assert {name: row[name] for name in expected} == expected


def test_events_without_a_call_are_kept_and_belong_to_none(awkward: "Warehouse") -> None:
    without = awkward.row("select count(*) as n from intermediate.int_events_unioned where call_id is null")[
        "n"
    ]
    assert without == 7
    assert awkward.rows("select * from marts.calls where call_id is null or call_key is null") == []


def test_turns_keep_every_script_and_their_order(awkward: "Warehouse") -> None:
    turns = awkward.rows("select * from marts.call_turns where call_id like 'CALL-%' order by turn_number")
    assert [(turn["turn_number"], turn["role"], turn["content"]) for turn in turns] == [
        (1, "agent", "नमस्ते"),
        (2, "customer", "हाँ बोलिए 🙏"),
    ]
    assert turns[0]["spoken_at"] == at("2026-11-02T08:01:50")
    assert turns[1]["spoken_at"] is None


def test_variables_with_hostile_names_stay_as_they_are(awkward: "Warehouse") -> None:
    rows = awkward.rows("select variable, value_text from marts.call_variables where call_id = 'hostile'")
    values_by_name = {row["variable"]: row["value_text"] for row in rows}
    assert values_by_name["a"] == "2", "of a name that stands twice, the last counts"
    assert values_by_name["$.b"] == "path"
    assert values_by_name["/c"] == "pointer"
    assert values_by_name['"'] == "quote"
    assert values_by_name[""] == "empty"
    assert values_by_name["שלום"] == "🙂"


def test_measures_have_typed_values(awkward: "Warehouse") -> None:
    rows = awkward.rows("select * from marts.call_metrics where call_id like 'CALL-%' order by metric_key")
    assert [(row["measure"], row["value_text"], row["value_number"], row["reasoning"]) for row in rows] == [
        ("call_outcome", "Completed Goal", None, "said so"),
        ("call_outcome", "again", None, None),
        ("satisfaction_score", "4", 4, None),
    ]


def test_the_moved_customer_is_counted_once(awkward: "Warehouse") -> None:
    phones = {row["customer_phone"] for row in awkward.rows("select customer_phone from marts.customers")}
    assert "+12025550107" in phones
    assert "+12025550106" not in phones


def test_due_actions(awkward: "Warehouse") -> None:
    keys = {row["action_key"] for row in awkward.rows("select action_key from intermediate.int_due_actions")}
    assert {key for key in keys if key.endswith(":atoms:late")} == {
        "ticket:atoms:late",
        "follow_up_email:atoms:late",
        "note:atoms:late",
        "task:atoms:late",
        "unhappy_customer:atoms:late",
    }
    assert {key for key in keys if key.endswith(":atoms:no-end")} == set()
    assert "contact:+12025550104" in keys
    assert {key for key in keys if key.endswith(":generic:late")} == {
        "note:generic:late",
        "transfer_requested:generic:late",
        "vip_call:generic:late",
    }


def test_ticket_and_email_carry_the_customer(awkward: "Warehouse") -> None:
    ticket = awkward.row("select * from sync.sync_tickets where call_id = 'late'")
    assert ticket["title"] == "Billing: Ada Example"
    assert ticket["description"].endswith("\n\nAgent: Hello, how can I help?\nCustomer: My invoice is wrong.")
    assert (ticket["priority"], ticket["queue"]) == ("high", "billing")
    email = awkward.row("select * from sync.sync_emails where call_id = 'late'")
    assert (email["template"], email["to_address"]) == ("apology_escalation", "ada@example.com")
    assert email["due_at"] == at("2026-11-02T08:04:00")


def test_warnings_name_what_is_odd(awkward: "Warehouse") -> None:
    outcomes = awkward.dbt("test", "--select", "warn_*", "warn_disposition_has_no_mapping")
    warned = {name for name, status in outcomes.items() if status == "warn"}
    assert {
        "warn_satisfaction_out_of_range",
        "warn_unknown_event_types",
        "warn_disposition_has_no_mapping",
    } <= warned
