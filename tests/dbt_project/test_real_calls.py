"""A thousand real dialogues: every total and every call is what the business rules make of them.

The traffic is not part of the project; without it these tests are skipped. The way through a receiver and the load
is tested elsewhere.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dbt_project.compare_mart import agree, figures
from tests.dbt_project.reference_marts import concurrency
from tests.dbt_project.reference_metrics import Call, calls_of, scorecard

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

CALLS = Path(__file__).parents[3] / "shared" / "calls"
EVENT_TYPES = {
    "pre-conversation": "call.start",
    "post-conversation": "call.end",
    "analytics-completed": "analytics.completed",
}
ONE_CALL = """
select calls.call_id, calls.direction, calls.customer_phone, facts.customer_email as email,
    calls.duration_seconds, calls.turn_count as turns,
    outcomes.disposition, outcomes.satisfaction_score as satisfaction,
    outcomes.is_resolved as resolved, outcomes.issue_type, outcomes.is_vip as vip,
    outcomes.is_transfer_requested as transferred, outcomes.needs_follow_up as follow_up,
    calls.has_start, calls.has_analytics
from marts.calls
inner join marts.call_outcomes as outcomes using (call_key)
inner join intermediate.int_calls_merged as facts using (call_key)
"""


def read_event(line: str, make_event: "type[Event]") -> "Event":
    delivery = json.loads(line)
    body = delivery["body"]
    metadata = body.get("metadata")
    return make_event(
        delivery["source"],
        EVENT_TYPES[metadata["eventType"]] if metadata else body["event"],
        metadata["callId"] if metadata else body["call_id"],
        body,
        body.get("timestamp", "").rstrip("Z") or None,
        delivery["sent_at"].rstrip("Z"),
    )


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    path = CALLS / "sgd.expected.json"
    if not path.exists():
        pytest.skip("needs the recorded calls in ../shared/calls")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def real(
    expected: dict[str, Any], new_warehouse: "Callable[[], Warehouse]", make_event: "type[Event]"
) -> "Warehouse":
    warehouse = new_warehouse()
    with (CALLS / "sgd.ndjson").open(encoding="utf-8") as lines:
        warehouse.load([read_event(line, make_event) for line in lines])
    warehouse.build()
    return warehouse


def test_every_call(real: "Warehouse", expected: dict[str, Any]) -> None:
    actual = {row["call_id"]: row for row in real.rows(ONE_CALL)}
    wanted = {
        call["call_id"]: {name: call[name] for name in call if name != "dialect"}
        for call in expected["calls"]
    }
    assert actual == wanted


def test_what_is_due(real: "Warehouse", expected: dict[str, Any]) -> None:
    summary = expected["summary"]
    rows = {relation: real.rows(f"select * from sync.{relation}") for relation in real.relations("sync")}
    assert len(rows["sync_tickets"]) == summary["tickets"]
    assert len(rows["sync_crm_contacts"]) == summary["crm_contacts"] == summary["customers"]
    assert len(rows["sync_crm_notes"]) == summary["crm_notes"]
    assert len(rows["sync_crm_tasks"]) == summary["crm_tasks"]
    assert Counter(row["slack_channel"] for row in rows["sync_slack_messages"]) == summary["slack"]
    emails = rows["sync_emails"]
    assert Counter(row["template"] for row in emails if row["skip_reason"] is None) == summary["emails"]
    assert sum(row["skip_reason"] == "no address" for row in emails) == summary["emails_without_address"]


def test_totals(real: "Warehouse", expected: dict[str, Any]) -> None:
    summary = expected["summary"]
    days = real.row(
        "select sum(call_count) as n, sum(duration_seconds_sum) as s from marts.call_metrics_daily"
    )
    assert (days["n"], round(days["s"], 1)) == (summary["calls"], summary["total_duration_seconds"])
    assert real.row("select count(*) as n from marts.call_turns")["n"] == summary["total_turns"]
    assert (
        real.row("select count(*) as n from intermediate.int_events_unioned")["n"]
        == summary["distinct_events"]
    )
    assert real.row("select count(*) as n from marts.customers")["n"] == summary["customers"]


@pytest.fixture(scope="module")
def recounted(expected: dict[str, Any]) -> list[Call]:
    with (CALLS / "sgd.ndjson").open(encoding="utf-8") as lines:
        return calls_of((json.loads(line)["body"] for line in lines), expected["calls"])


@pytest.mark.parametrize("period", ["daily", "weekly"])
def test_every_metric_is_what_the_events_say(real: "Warehouse", recounted: list[Call], period: str) -> None:
    wanted = scorecard(recounted, period)
    names = ", ".join(next(iter(wanted.values())))
    actual = figures(real, f"scorecard_{period}", "period_start, dimension, dimension_value", names)
    agree(actual, {key: card.values() for key, card in wanted.items()})


def test_calls_at_once_are_what_the_events_say(real: "Warehouse", recounted: list[Call]) -> None:
    key, columns = (
        "quarter_start, dimension, dimension_value",
        "peak_concurrent_calls, average_concurrent_calls",
    )
    agree(figures(real, "call_concurrency", key, columns), concurrency(recounted))


def test_volume_adds_up_to_the_calls(real: "Warehouse", recounted: list[Call]) -> None:
    for column, period in (("hour_start", "hour"), ("call_date", "day"), ("week_start", "week")):
        rows = real.rows(
            f"select cast({column} as timestamp) as began, sum(call_count) as n, sum(answered_call_count) as answered"
            f" from marts.call_volume group by 1 having n > 0"
        )
        wanted: dict[datetime, list[int]] = {}
        for call in recounted:
            begins = {
                "hour": call.began.replace(minute=0, second=0, microsecond=0),
                "day": datetime.combine(call.began.date(), time()),
                "week": datetime.combine(call.began.date() - timedelta(days=call.began.weekday()), time()),
            }[period]
            counted = wanted.setdefault(begins, [0, 0])
            counted[0] += 1
            counted[1] += call.is_answered
        assert {row["began"]: [row["n"], row["answered"]] for row in rows} == wanted
