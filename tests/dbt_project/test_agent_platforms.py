"""What bodies of Retell, Vapi, ElevenLabs and Bland come to, and why their calls end."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, get_args

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    Land = Callable[[str, bytes, bool], Event]
    Bodies = list[tuple[str, bytes, bool]]
PLATFORMS = ("bland", "elevenlabs", "retell", "vapi")


@pytest.fixture(scope="module")
def warehouse(built_warehouse: "Callable[[], Warehouse]", bodies: "Bodies", land: "Land") -> "Warehouse":
    """The bodies of these platforms, and of no other, in one pass."""
    warehouse = built_warehouse()
    warehouse.load([land(*body) for body in bodies if body[0] in PLATFORMS])
    warehouse.build_pass()
    return warehouse


FACTS = """
direction, customer_phone, agent_phone, strftime(started_at, '%H:%M:%S.%g'), strftime(ended_at, '%H:%M:%S.%g'),
round(duration_seconds, 3), turn_count, status, end_reason_category, is_ended_by_error
"""
CALLS: dict[str, tuple[Any, ...]] = {
    "retell:call_7c1f0e7f2b5a4d0f9a6f31d2c84e": (
        "inbound", "+12025550131", "+18005550190", "09:14:00.250", "09:15:33.730", 93.48, 4, "completed",
        "transferred", False,
    ),
    "retell:call_unanswered_1b2c3d": (
        "outbound", "+12025550132", "+18005550190", "09:15:33.730", "09:15:33.730", 0, 0, "no_answer",
        "no_answer", False,
    ),
    "retell:call_web_9f8e7d6c": (
        "web", None, None, "09:14:00.250", "09:14:12.250", 12, 0, "completed", "customer_hung_up", False,
    ),
    "vapi:3f0c9a52-6a0d-4f3c-9e7b-1d1f9b0a7712": (
        "outbound", "+4915550100201", "+18005550191", "09:14:00.411", "09:15:12.911", 72.5, 3, "completed",
        "agent_hung_up", False,
    ),
    "vapi:77aa9a52-6a0d-4f3c-9e7b-1d1f9b0a0000": (
        "outbound", "+4915550100201", "+18005550191", "09:23:18.000", "09:23:18.000", 0, 0, "no_answer",
        "no_answer", False,
    ),
    "elevenlabs:conv_01k6aa7r9m2x": (
        "inbound", "+919555501234", "+18005550192", "09:14:00.000", "09:15:21.000", 81, 3, "completed",
        "customer_hung_up", False,
    ),
    "elevenlabs:conv_01k6busy00001": (
        "outbound", "+12025550144", "+18005550192", None, "09:29:00.000", None, 0, "busy", "busy", False,
    ),
    "elevenlabs:conv_01k6sip000001": (
        "outbound", "+12025550145", "+18005550192", None, "09:45:40.000", None, 0, "failed", "failed", True,
    ),
    "bland:5f1e2d3c-4b5a-4687-9788-a9babbccddee": (
        "outbound", "+12025550151", "+18005550193", "09:14:00.000", "09:15:11.000", 71, 3, "completed",
        "agent_hung_up", False,
    ),
    "bland:00aa2d3c-4b5a-4687-9788-a9babbcc0001": (
        "inbound", "+12025550152", "+18005550193", "09:14:00.000", "09:14:30.000", 30, 0, "completed",
        "transferred", False,
    ),
    "bland:00aa2d3c-4b5a-4687-9788-a9babbcc0002": (
        "outbound", "+12025550151", "+18005550193", None, None, 0, 0, "no_answer", "no_answer", False,
    ),
}  # fmt: skip


def test_every_call_is_told_in_one_vocabulary(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(f"select call_key, {FACTS} from marts.calls")
    assert {row.pop("call_key"): tuple(row.values()) for row in rows} == CALLS


def test_one_event_is_end_and_analysis(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(
        "select source, has_end, has_analytics, count(*) from marts.calls group by all order by all"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("bland", True, True, 3),
        ("elevenlabs", True, False, 2),  # dials that failed
        ("elevenlabs", True, True, 1),
        ("retell", True, False, 2),  # of which no analysis is among the bodies
        ("retell", True, True, 1),
        ("vapi", True, True, 2),
    ]


def test_outcomes(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(
        "select call_key, disposition, is_resolved, satisfaction_score, sentiment, is_transfer_requested, "
        "needs_follow_up, issue_type, is_vip from marts.call_outcomes where satisfaction_score is not null order by all"
    )
    assert {row.pop("call_key").partition(":")[0]: tuple(row.values()) for row in rows} == {
        "bland": ("successful", True, 4, "positive", False, False, "general", False),
        "elevenlabs": ("successful", True, 4, "positive", False, False, "sales", False),
        "retell": ("unsuccessful", False, 2, "negative", True, True, "billing", True),
        "vapi": ("successful", True, 5, "positive", False, False, "appointment", False),
    }


def test_turns_have_a_role_and_times(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(
        "select source, role, strftime(spoken_at, '%M:%S.%g'), strftime(spoken_until, '%M:%S.%g') "
        "from marts.call_turns order by source, turn_number"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("bland", "customer", "14:01.000", None), ("bland", "agent", "14:03.250", None),
        ("bland", "customer", "14:09.000", None),
        ("elevenlabs", "agent", "14:00.000", None), ("elevenlabs", "customer", "14:04.000", None),
        ("elevenlabs", "agent", "14:08.000", None),
        ("retell", "agent", "14:00.650", "14:02.450"), ("retell", "customer", "14:03.350", "14:05.250"),
        ("retell", "agent", "14:05.850", "14:08.450"), ("retell", "transfer_target", "14:40.750", "14:42.350"),
        ("vapi", "agent", "14:01.500", "14:04.000"), ("vapi", "customer", "14:06.000", "14:07.800"),
        ("vapi", "agent", "14:09.000", "14:10.200"),
    ]  # fmt: skip


def test_measures_keep_what_was_sent(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(
        "select source || ' ' || measure as name, value_text, reasoning from marts.call_metrics "
        "where measure_number = 1"
    )
    by_name = {row["name"]: (row["value_text"], row["reasoning"]) for row in rows}
    assert by_name["elevenlabs issue_type"] == ("sales", "Asked what is for sale.")
    assert by_name["elevenlabs stayed_polite"] == ("success", "No harsh word.")
    assert by_name["elevenlabs user_rating"] == by_name["elevenlabs satisfaction_score"] == ("4", None)
    unsaid = "select measure, value_type, reasoning from marts.call_metrics where measure_number = 2"
    assert [tuple(row.values()) for row in warehouse.rows(unsaid)] == [
        ("satisfaction_score", "empty", "Not said.")
    ]
    assert by_name["vapi callback_wanted"] == ("false", None)
    assert by_name["vapi success_evaluation"] == ("true", None)
    assert by_name["retell refund_amount"] == ("39.9", None)
    assert by_name["bland rooms"] == ("2", None)


def test_what_users_measure_is_kept_and_what_has_no_name_reported(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(
        "select source, measure, canonical_measure, value_type from marts.call_metrics where not is_mapped order by all"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("bland", "rooms", "rooms", "integer"),
        ("elevenlabs", "stayed_polite", "stayed_polite", "text"),
        ("retell", "refund_amount", "refund_amount", "number"),
        ("vapi", "callback_wanted", "callback_wanted", "boolean"),
    ]
    warned = warehouse.dbt("test", "--select", "warn_measures_without_a_name")
    assert warned == {"warn_measures_without_a_name": "warn"}
    score = (
        "select canonical_measure, value_number from marts.call_metrics where measure = 'call_success_score'"
    )
    assert tuple(warehouse.row(score).values()) == ("success_score", 0.9)


def test_variables_of_all_places_come_together(warehouse: "Warehouse") -> None:
    rows = warehouse.rows(
        "select source, list(distinct variable order by variable) as names from marts.call_variables group by 1"
    )
    by_name = {row["source"]: set(row["names"]) for row in rows}
    assert by_name["retell"] == {
        "customer_name",
        "customer_tier",
        "order_number",
        "shop",
        "transfer_destination",
    }
    assert by_name["vapi"] == {"appointment", "customer_name", "now"}
    assert by_name["elevenlabs"] >= {"customer_name", "language", "system__caller_id"}
    assert by_name["bland"] >= {"campaign", "city", "customer_name", "transferred_to"}


# reasons that the package no longer lists, but Vapi's API description did between 2024 and 2025: calls of history have
# them. Of 78 such, these are matched by no pattern, or are no errors.
RETIRED = (
    "assistant-not-invalid", "assistant-not-provided", "assistant-said-message-with-end-call-enabled",
    "vapifault-call-started-but-connection-to-transport-missing", "vapifault-phone-call-worker-could-not-find-call",
    "vapifault-transport-connected-but-call-not-active", "vapifault-transport-never-connected",
    "no-server-available", "call.in-progress.error-warm-transfer-hang-timeout",
    "call.in-progress.error-warm-transfer-idle-timeout",
)  # fmt: skip


def reasons() -> Iterator[tuple[str, dict[str, Any]]]:
    """An end for every reason that the vendors' packages list, for older ones, and for one that nobody lists."""
    # here, because every worker of a test run would import all of Retell's package
    from retell.types.phone_call_response import PhoneCallResponse
    from vapi.types.server_message_end_of_call_report_ended_reason import (
        ServerMessageEndOfCallReportEndedReason,
    )

    (listed,) = get_args(PhoneCallResponse.model_fields["disconnection_reason"].annotation)[:1]
    for reason in get_args(listed):
        yield "retell", {"event": "call_ended", "call": {"call_id": reason, "disconnection_reason": reason}}
    for reason in (*get_args(get_args(ServerMessageEndOfCallReportEndedReason)[0]), *RETIRED):
        yield (
            "vapi",
            {"message": {"type": "end-of-call-report", "endedReason": reason, "call": {"id": reason}}},
        )
    yield "vapi", {"message": {"type": "end-of-call-report", "endedReason": "novel", "call": {"id": "novel"}}}


def test_every_reason_of_the_vendors_packages_has_a_category(
    built_warehouse: "Callable[[], Warehouse]", land: "Land"
) -> None:
    warehouse = built_warehouse()
    warehouse.load([land(source, json.dumps(body).encode(), False) for source, body in reasons()])
    warehouse.build_pass()
    rows = warehouse.rows("select * from marts.call_end_reasons")
    assert Counter(row["source"] for row in rows) == {"retell": 39, "vapi": 605 + len(RETIRED)}
    assert [row["end_reason"] for row in rows if row["end_reason_category"] is None] == ["novel"]
    by_reason = {row["end_reason"]: (row["end_reason_category"], row["is_error"]) for row in rows}
    assert by_reason["pipeline-error-openai-voice-failed"] == ("failed", True)
    assert by_reason["call.in-progress.error-vapifault-worker-died"] == ("failed", True)
    assert by_reason["call.in-progress.error-warm-transfer-silence-timeout"] == ("timeout", False)
    assert by_reason["call.in-progress.error-warm-transfer-idle-timeout"] == ("timeout", False)
    assert by_reason["vapifault-transport-never-connected"] == ("failed", True)
    assert by_reason["voicemail"] == ("voicemail", False)
    assert by_reason["user_declined"] == ("declined", False)
    counted = Counter(row["end_reason_category"] for row in rows if row["source"] == "vapi")
    assert counted["failed"] > 500
    assert counted["other"] == 5
    warned = warehouse.dbt("test", "--select", "warn_end_reasons_without_category")
    assert warned == {"warn_end_reasons_without_category": "warn"}
