"""A whole recovery: list calls, compare, land what is missing. After a kill the next one does what is left.

dlt remembers which calls a platform listed, the landing store what has landed, and Dagster's partitions which days of
history were imported.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.config import OrchestrationSettings
from orchestration.recovery import PLATFORMS
from orchestration.recovery.config import HISTORY, RecoverySettings
from orchestration.recovery.listed_calls import list_calls
from orchestration.recovery.platform import EVER, Bounds
from orchestration.recovery.reconciliation import Day, standing
from orchestration.recovery.write_events import land
from orchestration.warehouse import exclusive

Progress = Callable[[str, int, int | None], None]
"""Gets the stage (`listing`, `recovering`), the calls done, and the calls in all, if that number is known."""


@dataclass(frozen=True)
class RecoveryReport:
    """Calls listed now, calls with missing events, events landed, and the days of the window before that."""

    source: str
    listed: int
    missing: int
    landed: int
    days: list[Day]

    @property
    def worst_percent(self) -> float:
        """The largest loss of a day."""
        return max((day.loss_percent for day in self.days), default=0.0)


def recover(
    settings: OrchestrationSettings,
    recovery: RecoverySettings,
    source: str,
    bounds: Bounds | None = None,
    progress: Progress = lambda *_: None,
    dry_run: bool = False,
) -> RecoveryReport:
    """Land the events whose webhooks were lost, of calls created within bounds.

    Without bounds, from the newest call listed before, less the look-back; the first time, the look-back alone. A dry
    run lists and compares only. Raises RecoveryFailed (the API), LandingUnavailable (the disk), WarehouseBusy (another
    process, or another recovery of the same source).
    """
    platform = PLATFORMS[source]
    now = datetime.now(UTC)
    window = bounds or Bounds(now - _look_back(recovery), now, is_open=True)
    folder = settings.home / "recovery"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f"{source}.lock", settings.lock_timeout_seconds):
        listed = list_calls(
            settings, recovery, platform, window, lambda done: progress("listing", done, None)
        )
        # without bounds all that was ever listed: landing an earlier call may have failed
        compared = window if bounds else Bounds(EVER, now)
        compared_calls = standing(settings, source, compared)
        total = len(compared_calls.missing)
        landed = 0
        if not dry_run and total:
            progress("recovering", 0, total)
            landed = land(
                settings,
                recovery,
                platform,
                compared_calls.missing,
                window.since,
                lambda done: progress("recovering", done, total),
            )
    days = [day for day in compared_calls.days if day.day >= window.since.date()]
    return RecoveryReport(source, listed, total, landed, days)


def import_history(
    settings: OrchestrationSettings,
    recovery: RecoverySettings,
    source: str,
    bounds: Bounds,
    instance: dg.DagsterInstance,
    day_done: Callable[[int, int], None] = lambda *_: None,
    progress: Progress = lambda *_: None,
    dry_run: bool = False,
    again: bool = False,
) -> RecoveryReport:
    """One report for all days within bounds, recovered one by one, the oldest first.

    A whole day that Dagster shows as imported is left out, unless `again`; each whole day done is shown so. `day_done`
    gets days done and days in all. Raises what `recover` raises.
    """
    key, reports = dg.AssetKey([HISTORY, source]), list[RecoveryReport]()
    imported = set() if again else instance.get_materialized_partitions(key)
    days = list(_days(bounds))
    for number, day in enumerate(days, 1):
        is_whole, name = day.until - day.since == timedelta(days=1), f"{day.since:%Y-%m-%d}"
        if not (is_whole and name in imported):
            report = recover(settings, recovery, source, day, progress, dry_run)
            reports.append(report)
            if is_whole and not dry_run:
                numbers = {"dagster/row_count": report.listed, "events_landed": report.landed}
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(key, partition=name, metadata=numbers)
                )
        day_done(number, len(days))
    return RecoveryReport(
        source,
        sum(report.listed for report in reports),
        sum(report.missing for report in reports),
        sum(report.landed for report in reports),
        [day for report in reports for day in report.days],
    )


def _days(bounds: Bounds) -> Iterator[Bounds]:
    """The days (UTC) of a span; bounds cut the first and the last."""
    since = bounds.since.astimezone(UTC)
    while since < bounds.until:
        midnight = datetime(since.year, since.month, since.day, tzinfo=UTC) + timedelta(days=1)
        yield Bounds(since, min(midnight, bounds.until))
        since = midnight


def _look_back(recovery: RecoverySettings) -> timedelta:
    return timedelta(hours=recovery.recovery_look_back_hours)
