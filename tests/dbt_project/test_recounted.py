"""Every mart that counts is what its events say, counted a second time in plain Python; built in two passes."""

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.dbt_project import recount_marts as again
from tests.dbt_project.agreement import agree, figures
from tests.dbt_project.invented import bodies, calls_of
from tests.dbt_project.recount import Call, scorecard

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

RATES = [
    ("generic", date(2026, 10, 14), 0.12, "USD", 60),
    ("generic", date(2026, 10, 20), 0.105, "USD", 6),
    ("generic", date(2026, 10, 28), 0.09, "EUR", 1),
    ("atoms", date(2026, 1, 1), 5.0, "USD", 60),
]
STATUSES = ("sent", "sent", "sent", "pending", "sending", "retrying", "dead", "skipped")


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return bodies(6)


@pytest.fixture(scope="module")
def calls(told: list[dict[str, Any]]) -> list[Call]:
    return calls_of(told)


@pytest.fixture(scope="module")
def actions(calls: list[Call]) -> list[dict[str, Any]]:
    """What became of actions, as the outbox tells."""
    chance = random.Random(6)
    return [_action(number, chance.choice(calls), chance) for number in range(300)]


def _action(number: int, call: Call, chance: random.Random) -> dict[str, Any]:
    status = chance.choice(STATUSES)
    made = (call.ended or call.began) + timedelta(seconds=chance.randrange(1, 90))
    return {
        "action_key": f"note:generic:{call.outcome['call_id']}:{number}",
        "channel": chance.choice(("crm", "email")),
        "kind": chance.choice(("note", "task")),
        "source": "generic",
        "call_id": call.outcome["call_id"],
        "destination": chance.choice(("preview", "hubspot")),
        "status": status,
        "attempts": chance.randrange(6),
        "due_at": chance.choice((made, None)),
        "created_at": made + timedelta(seconds=2),
        "sent_at": made + timedelta(milliseconds=chance.randrange(90_000)) if status == "sent" else None,
    }


@pytest.fixture(scope="module")
def counted(
    built_warehouse: "Callable[[], Warehouse]",
    make_event: "type[Event]",
    told: list[dict[str, Any]],
    actions: list[dict[str, Any]],
) -> "Warehouse":
    """All of it, half the events in each of two passes."""
    warehouse = built_warehouse()
    events = [make_event("generic", body["type"], body["data"]["call_id"], body) for body in told]
    random.Random(6).shuffle(events)
    for half in (events[::2], events[1::2]):
        warehouse.load(half)
        warehouse.build_pass()
    insert(
        warehouse, f"raw.outbox_actions ({', '.join(actions[0])})", [tuple(row.values()) for row in actions]
    )
    insert(warehouse, "seeds.platform_rates", RATES)
    return warehouse


def insert(warehouse: "Warehouse", table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
    warehouse.execute(f"insert into {table} values {marks}", *(value for row in rows for value in row))


@pytest.mark.parametrize("period", ["daily", "weekly"])
def test_scorecards(counted: "Warehouse", calls: list[Call], period: str) -> None:
    wanted = scorecard(calls, period)
    names = list(next(iter(wanted.values())))
    assert all(any(card[name] for card in wanted.values()) for name in names), "everything happens"
    found = figures(
        counted, f"scorecard_{period}", "period_start, dimension, dimension_value", ", ".join(names)
    )
    agree(found, {key: card.values() for key, card in wanted.items()})
    shown = set(counted.relations("marts")[f"scorecard_{period}"]) - {"scorecard_key", "last_loaded_at"}
    assert shown - {"period_start", "dimension", "dimension_value"} == set(names), "no column is left out"


def test_calls_at_once(counted: "Warehouse", calls: list[Call]) -> None:
    columns = "peak_concurrent_calls, average_concurrent_calls"
    key = "quarter_start, dimension, dimension_value"
    agree(figures(counted, "call_concurrency", key, columns), again.concurrency(calls))


def test_volume(counted: "Warehouse", calls: list[Call]) -> None:
    key = "quarter_start, source, agent_id, direction, issue_type"
    columns = "call_count, answered_call_count, line_seconds"
    agree(figures(counted, "call_volume", key, columns), again.volume(calls))


def test_days(counted: "Warehouse", calls: list[Call]) -> None:
    """`call_metrics_daily` adds up to the agent's rows of the scorecard."""
    cards = {
        (day, value): card
        for (day, dimension, value), card in scorecard(calls).items()
        if dimension == "agent"
    }
    shown = set(counted.relations("marts")["call_metrics_daily"])
    names = sorted(shown & next(iter(cards.values())).keys())
    found = figures(counted, "call_metrics_daily", "call_date, source || ':' || agent_id", ", ".join(names))
    agree(found, {key: [card[name] for name in names] for key, card in cards.items()})


def test_transfer_reasons(counted: "Warehouse", calls: list[Call]) -> None:
    key = "call_date, source, agent_id, issue_type, transfer_reason"
    columns = "transfer_call_count, transferred_call_count, transfer_request_count, uncontained_call_count, "
    columns += "answered_call_count, transfer_reason_rate, transfer_reason_share"
    agree(figures(counted, "transfer_reasons", key, columns), again.transfer_reasons(calls))


def test_drop_off_points(counted: "Warehouse", calls: list[Call]) -> None:
    key = "source, agent_id, issue_type, turn_number"
    columns = "reached_call_count, conversation_count, dropped_off_call_count"
    agree(figures(counted, "drop_off_points", key, columns), again.drop_off_points(calls))


def test_conversations(counted: "Warehouse", calls: list[Call]) -> None:
    wanted = {(call.outcome["call_id"],): again.conversation(call) for call in calls}
    names = ", ".join(next(iter(wanted.values())))
    found = figures(counted, "call_conversations", "call_id", names)
    agree(found, {key: row.values() for key, row in wanted.items()})


def test_costs(counted: "Warehouse", calls: list[Call]) -> None:
    key = "call_date, source, agent_id, currency"
    columns = "billed_call_count, billed_minutes, cost"
    agree(figures(counted, "call_costs_daily", key, columns), again.costs(calls, RATES))


def test_after_call_work(counted: "Warehouse", calls: list[Call], actions: list[dict[str, Any]]) -> None:
    ended: dict[str, datetime | None] = {call.outcome["call_id"]: call.ended for call in calls}
    wanted = again.after_call_work(actions, ended)
    found = figures(
        counted,
        "after_call_work_daily",
        "due_date, channel, kind, destination",
        ", ".join(next(iter(wanted.values()))),
    )
    agree(found, {key: row.values() for key, row in wanted.items()})
