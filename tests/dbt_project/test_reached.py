"""Whom a call reached, in every platform's own words, and that a call which reached nobody has no outcome."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.dbt_project import reached_calls

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

CASES = {
    f"{platform}-{way}": (status, resolved) for platform, way, _, status, resolved in reached_calls.cases()
}
Land = Callable[[str, bytes, bool], "Event"]


@pytest.fixture(scope="module")
def built(built_warehouse: "Callable[[], Warehouse]", land: Land) -> "Warehouse":
    """All cases in one pass."""
    deliveries = [each for case in reached_calls.cases() for each in case[2]]
    deliveries += reached_calls.transferred_to_a_machine() + reached_calls.named_by_analytics()
    warehouse = built_warehouse()
    warehouse.load([land(*each) for each in deliveries])
    warehouse.build_pass()
    return warehouse


def test_every_way_of_saying_whom_a_call_reached(built: "Warehouse") -> None:
    rows = built.rows(
        "select call_id, answer_status, is_resolved, is_reached "
        "from marts.calls inner join marts.call_outcomes using (call_key, call_id)"
    )
    judged = {row["call_id"]: (row["answer_status"], row["is_resolved"]) for row in rows}
    wrong = {name: (judged.get(name), wanted) for name, wanted in CASES.items() if judged.get(name) != wanted}
    assert not wrong
    assert len(CASES) > 90
    assert all(row["is_reached"] is (row["answer_status"] == "answered") for row in rows)


def test_nothing_follows_from_a_verdict_on_a_call_that_reached_nobody(built: "Warehouse") -> None:
    models = ("sync_tickets", "sync_emails", "sync_crm_tasks")
    due = {
        model: {row["call_id"] for row in built.rows(f"select call_id from sync.{model}")} for model in models
    }
    talked = {name for name, (_, resolved) in CASES.items() if resolved is False}
    assert due["sync_tickets"] == due["sync_crm_tasks"] == talked | {"named"}
    assert due["sync_emails"] <= talked | {"named"}
    assert {"retell-talked", "vapi-talked", "elevenlabs-talked", "bland-talked"} <= due["sync_emails"]
    notes = {row["call_id"] for row in built.rows("select call_id from sync.sync_crm_notes")}
    assert CASES.keys() <= notes, "a call that reached nobody is still noted"


def test_the_voicemail_of_a_colleague_is_not_the_customer_s(built: "Warehouse") -> None:
    call_id = "7a0d2f5e-a1b2-11f1-8c7e-02420aef2a10"
    assert built.row(f"select answer_status from marts.calls where call_id = '{call_id}'") == {
        "answer_status": "answered"
    }


def test_analytics_that_name_the_resolution_count(built: "Warehouse") -> None:
    row = built.row(
        "select answer_status, is_resolved from marts.calls inner join marts.call_outcomes using (call_key) "
        "where call_key = 'atoms:named'"
    )
    assert row == {"answer_status": "voicemail", "is_resolved": False}


def test_numbers_count_a_machine_as_unreached(built: "Warehouse") -> None:
    counted = built.row(
        "select sum(answered_call_count) as answered, sum(contained_call_count) as contained, "
        "sum(unreached_call_count) as unreached, sum(failed_call_count) as failed, "
        "sum(unresolved_call_count) as unresolved from marts.call_metrics_daily"
    )
    statuses = [status for status, _ in CASES.values()] + ["answered", "voicemail"]
    unreached = ("voicemail", "busy", "no_answer", "declined", "cancelled")
    assert counted == {
        "answered": statuses.count("answered"),
        "contained": statuses.count("answered"),
        "unreached": sum(statuses.count(each) for each in unreached),
        "failed": statuses.count("failed"),
        "unresolved": sum(resolved is False for _, resolved in CASES.values()) + 1,
    }
