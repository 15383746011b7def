"""The marts depend on the set of events alone, not on order, repetition, or the passes they came in."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.warehouse import dbt
from tests.conftest import ARRIVAL

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    NewWarehouse = Callable[[], Warehouse]


def contents(warehouse: "Warehouse", schema: str, leave_out: Sequence[str] = ARRIVAL) -> dict[str, list[Any]]:
    """Every row of every relation of a schema, in a fixed order."""
    rows_by_relation = {}
    for relation, columns in warehouse.relations(schema).items():
        compared = ", ".join(column for column in columns if column not in leave_out)
        rows_by_relation[relation] = warehouse.rows(
            f"select {compared} from {schema}.{relation} order by all"
        )
    return rows_by_relation


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
    warehouse.dbt("run", "--select", "int_events_unioned")
    warehouse.load(second)
    warehouse.dbt("run", "--select", "int_events_unioned", "int_calls_merged")
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


def test_a_full_refresh_in_portions_builds_the_same_calls(
    built_warehouse: "NewWarehouse", awkward: "Warehouse", awkward_events: list["Event"]
) -> None:
    warehouse = built_warehouse()
    warehouse.load(awkward_events)
    warehouse.dbt(
        "build", "--selector", "complete", "--full-refresh", "--vars", "full_refresh_portion_calls: 3"
    )
    assert len(warehouse.rows("select distinct built_at from intermediate.int_calls_merged")) > 3
    assert contents(warehouse, "marts") == contents(awkward, "marts")


@pytest.mark.slow
def test_dbt_by_hand_gives_the_rows_of_passes(
    new_warehouse: "NewWarehouse",
    awkward_events: list["Event"],
    make_event: type["Event"],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """In another phone region than the default: it changes rows, so a build that missed it would be seen."""
    started = {"event": "call.start", "call_direction": "inbound", "caller_phone": "030 12345678"}
    events = [*awkward_events, make_event("atoms", "call.start", "berlin", started, "2026-11-02T08:00:00")]
    region = "AFTERCALL_PHONE_REGION"
    passes, by_hand = new_warehouse(), new_warehouse()

    monkeypatch.setenv(region, "DE")
    settings = OrchestrationSettings(home=passes.home)
    dbt.build(settings, ["--selector", "complete"])
    for part in cut(events, 3):
        passes.load(part)
        dbt.build(settings, ["--selector", "pass"])

    for part in cut(events, 3):
        by_hand.load(part)
    command = [str(Path(sys.executable).with_name("dbt")), "build", "--quiet"]
    folders = {"AFTERCALL_HOME": str(by_hand.home), "DBT_TARGET_PATH": str(tmp_path / "target")}
    environment = {**os.environ, **folders, "DBT_LOG_PATH": str(tmp_path / "logs"), region: "DE"}
    subprocess.run(command, cwd=DBT_PROJECT, env=environment, check=True)

    berlin = "select customer_phone from marts.calls where call_id = 'berlin'"
    assert by_hand.row(berlin) == {"customer_phone": "+493012345678"}
    leave_out = (*ARRIVAL, "built_at")
    for schema in ("marts", "sync"):
        assert contents(by_hand, schema, leave_out) == contents(passes, schema, leave_out)
