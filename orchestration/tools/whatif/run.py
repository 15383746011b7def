"""One trial: copy the events, build them as configured and as proposed, compare.

What is said about it on the command line belongs to `orchestration/cli/whatif.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.load.window import Window
from orchestration.tools.whatif.compare import Differences, compare
from orchestration.tools.whatif.scratch import (
    CONFIGURED,
    OF_CALLS,
    PROPOSED,
    copy_events,
    folder_of,
    keep_side,
    scratch,
)
from orchestration.warehouse import dbt, open_warehouse, with_enough_memory
from orchestration.warehouse.scratch import scratch_settings

Step = Callable[[str, int, int], None]
"""Told what is being done, and of how many steps how many are done (0, 0: not countable)."""
# calls, what is due, and whatever these are made of: no mart, so that a new one costs a trial nothing
_MODELS = (*(f"+{model}" for model in OF_CALLS), "+int_due_actions", "+path:models/sync")


class NothingToCompare(Exception):
    """There is no warehouse yet, or no call in the window; the message says which."""


@dataclass(frozen=True)
class Change:
    """What would be different: values of dbt vars, and an edited copy of the dbt project."""

    variables: dict[str, Any] = field(default_factory=dict)
    project: Path | None = None


@dataclass(frozen=True)
class Report:
    """What differs between the two builds of the `calls` calls in the window.

    `folder` is where they are, and `warehouse` the scratch warehouse in it, for people; None if they are gone.
    """

    calls: int
    differences: Differences
    folder: Path | None
    warehouse: str | None


def try_out(
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    change: Change,
    window: Window,
    *,
    limit: int = 10,
    keep: bool = False,
    step: Step = lambda what, done, total: None,
) -> Report:
    """Build the calls of a window under both rules, tell them apart, and name at most `limit` calls and actions.

    The real warehouse is held while the events are copied, and not after. Both builds start from nothing, so that what
    is remembered there (an action once due stays due) makes no difference. Raises NothingToCompare, BuildFailed with
    dbt's words, WarehouseBusy.
    """
    if not open_warehouse(settings).exists():
        raise NothingToCompare(f"there is no warehouse in {settings.home} yet; aftercall run makes it")
    now = datetime.now(UTC)
    folder = folder_of(settings) / f"{now:%Y%m%dT%H%M%SZ}" if keep else None
    with scratch(settings, folder) as trial:
        step("copying the events", 0, 0)
        calls = copy_events(settings, trial, window)
        if not calls:
            raise NothingToCompare(
                f"no call has its first event from {window.since.isoformat()} to {window.until.isoformat()} "
                "in the warehouse"
            )
        _build(settings, trial, CONFIGURED, Change(), step)
        _build(settings, trial, PROPOSED, change, step)
        step("comparing", 0, 0)
        with open_warehouse(trial).connect(read_only=False) as connection:
            differences = compare(connection, integrations, now, limit)
    warehouse = open_warehouse(scratch_settings(settings, folder)).location if folder is not None else None
    return Report(calls, differences, folder, warehouse)


def _build(
    settings: OrchestrationSettings, trial: OrchestrationSettings, side: str, change: Change, step: Step
) -> None:
    what = f"building as {side}"
    arguments = ["build", "--full-refresh", "--select", *_MODELS, "--indirect-selection", "cautious"]
    if side == CONFIGURED:  # its data tests are those of every night
        arguments += ["--exclude-resource-type", "test", "unit_test"]
    else:
        arguments += ["--exclude-resource-type", "unit_test"]
    if change.variables:
        arguments += ["--vars", dbt.variables(change.variables)]

    def sink(event: dict[str, Any]) -> None:
        data = event.get("data", {})
        if event["info"]["name"] == "LogStartLine":
            step(what, int(data["index"]), int(data["total"]))

    step(what, 0, 0)
    # parsed projects stay from trial to trial: to parse one takes longer than to build a small window
    target = folder_of(settings) / "dbt" / side
    with_enough_memory(
        trial,
        lambda roomy: dbt.invoke(roomy, arguments, sink, target, change.project),
        "duckdb_memory",
    )
    keep_side(trial, side)
