"""The marts depend on the set of events alone, not on order, repetition, or the passes they came in."""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.conftest import ARRIVAL

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    NewWarehouse = Callable[[], Warehouse]


def contents(warehouse: "Warehouse", schema: str, leave_out: Sequence[str] = ARRIVAL) -> dict[str, list[Any]]:
    """Every row of every relation of a schema, in a fixed order."""
    found = {}
    for relation, columns in warehouse.relations(schema).items():
        kept = ", ".join(column for column in columns if column not in leave_out)
        found[relation] = warehouse.rows(f"select {kept} from {schema}.{relation} order by all")
    return found


def in_passes(built_warehouse: "NewWarehouse", chunks: Sequence[Sequence["Event"]]) -> "Warehouse":
    warehouse = built_warehouse()
    for chunk in chunks:
        warehouse.load(chunk)
        warehouse.build_pass()
    return warehouse


def cut(events: Sequence["Event"], pieces: int) -> list[Sequence["Event"]]:
    size = -(-len(events) // pieces)
    return [events[start : start + size] for start in range(0, len(events), size)]


def test_reversed_in_passes(
    built_warehouse: "NewWarehouse", awkward: "Warehouse", awkward_events: list["Event"]
) -> None:
    warehouse = in_passes(built_warehouse, cut(awkward_events[::-1], 4))
    assert contents(warehouse, "marts") == contents(awkward, "marts")


def test_shuffled_repeated_and_partitioned(
    built_warehouse: "NewWarehouse", awkward: "Warehouse", awkward_events: list["Event"]
) -> None:
    chance = random.Random(7)
    events = [*awkward_events, *chance.sample(awkward_events, len(awkward_events) // 2)]
    chance.shuffle(events)
    warehouse = in_passes(built_warehouse, cut(events, 5))
    assert contents(warehouse, "marts") == contents(awkward, "marts")
    due = "select action_key from intermediate.int_due_actions"
    once = {row["action_key"] for row in awkward.rows(due)}
    assert once <= {row["action_key"] for row in warehouse.rows(due)}, (
        "passes may only add what was due on the way"
    )


def test_a_pass_without_news_touches_nothing(awkward: "Warehouse", awkward_events: list["Event"]) -> None:
    before = [contents(awkward, schema) for schema in ("marts", "sync", "intermediate")]
    awkward.load(awkward_events)
    awkward.build_pass()
    assert [contents(awkward, schema) for schema in ("marts", "sync", "intermediate")] == before


def test_a_pass_that_stopped_half_way_is_caught_up_with(
    built_warehouse: "NewWarehouse", awkward: "Warehouse", awkward_events: list["Event"]
) -> None:
    warehouse = built_warehouse()
    first, second = cut(awkward_events, 2)
    warehouse.load(first)
    warehouse.dbt("run", "--select", "int_events")
    warehouse.load(second)
    warehouse.dbt("run", "--select", "int_events", "int_calls")
    warehouse.build_pass()
    assert contents(warehouse, "marts") == contents(awkward, "marts")
    leave_out = ("built_at",)
    assert contents(warehouse, "sync", leave_out) == contents(awkward, "sync", leave_out)


def test_what_was_due_stays_due_through_a_full_refresh(
    built_warehouse: "NewWarehouse", make_event: type["Event"]
) -> None:
    warehouse = built_warehouse()
    end = {"event": "call.end", "disposition": "unsuccessful", "variables": {"customer_name": "Ada"}}
    warehouse.load([make_event("atoms", "call.end", "c", end, "2026-11-02T08:00:00")])
    warehouse.build_pass()
    before = warehouse.row("select * from sync.sync_tickets")
    assert (before["is_resolved"], before["priority"]) == (False, "normal")

    resolved = {"metrics": {"issue_resolved": True, "satisfaction_score": 4}}
    warehouse.load([make_event("atoms", "analytics.completed", "c", resolved, "2026-11-02T08:01:00")])
    warehouse.build_pass()
    after = warehouse.row("select * from sync.sync_tickets")
    assert (after["is_resolved"], after["priority"], after["due_at"]) == (True, "low", before["due_at"])
    assert after["built_at"] > before["built_at"]
    email = warehouse.row("select template, skip_reason from sync.sync_emails")
    assert email == {"template": "thank_you", "skip_reason": "no_address"}

    address = {"event": "call.end", "variables": {"customer_email": "ada@example.com"}}
    warehouse.load([make_event("atoms", "call.end", "c", address, "2026-11-02T08:00:30")])
    warehouse.build_pass()
    email = warehouse.row("select template, skip_reason, to_address from sync.sync_emails")
    assert email == {"template": "thank_you", "skip_reason": None, "to_address": "ada@example.com"}

    before = warehouse.row("select * exclude (built_at) from sync.sync_tickets")
    warehouse.dbt("build", "--selector", "complete", "--full-refresh")
    assert warehouse.row("select * exclude (built_at) from sync.sync_tickets") == before
