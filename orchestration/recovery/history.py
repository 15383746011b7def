"""History by day: one recovery a day, oldest first, going on after a kill where the last one was.

How far an import came stands in `recovery/<source>.json` of the state directory until it is done.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.config import OrchestrationSettings
from orchestration.recovery.config import RecoverySettings
from orchestration.recovery.platform import Bounds
from orchestration.recovery.recover import Progress, RecoveryReport, recover


def days_of(bounds: Bounds) -> Iterator[Bounds]:
    """The days (UTC) of a span, the first and the last cut to it."""
    since = bounds.since.astimezone(UTC)
    while since < bounds.until:
        midnight = datetime(since.year, since.month, since.day, tzinfo=UTC) + timedelta(days=1)
        yield Bounds(since, min(midnight, bounds.until))
        since = midnight


def import_history(
    settings: OrchestrationSettings,
    recovery: RecoverySettings,
    source: str,
    bounds: Bounds,
    day_done: Callable[[int, int], None] = lambda *_: None,
    progress: Progress = lambda *_: None,
    dry_run: bool = False,
) -> RecoveryReport:
    """Recover day by day; all of it as one report. `day_done` gets days done and days in all.

    An import from the same moment that was cut short goes on with the day it stopped in. Raises what `recover` raises.
    """
    marker = settings.home / "recovery" / f"{source}.json"
    days = list(days_of(bounds))
    reached = _reached(marker, bounds)
    reports = []
    for done, day in enumerate(days):
        if day.until <= reached and not dry_run:
            day_done(done + 1, len(days))
            continue
        reports.append(recover(settings, recovery, source, day, progress, dry_run))
        if not dry_run:
            _remember(marker, bounds, day.until)
        day_done(done + 1, len(days))
    if not dry_run:
        marker.unlink(missing_ok=True)
    return RecoveryReport(
        source,
        sum(report.listed for report in reports),
        sum(report.missing for report in reports),
        sum(report.landed for report in reports),
        [day for report in reports for day in report.days],
    )


def _reached(marker: Path, bounds: Bounds) -> datetime:
    """The end of the last day done of an import from the same moment; its beginning if there is none."""
    try:
        said = json.loads(marker.read_text(encoding="utf-8"))
        since, reached = (datetime.fromisoformat(said[name]) for name in ("since", "reached"))
    except (OSError, ValueError, KeyError, TypeError):
        return bounds.since
    return reached if since == bounds.since else bounds.since


def _remember(marker: Path, bounds: Bounds, reached: datetime) -> None:
    fresh = marker.with_suffix(".new")
    fresh.write_text(json.dumps({"since": bounds.since.isoformat(), "reached": reached.isoformat()}))
    fresh.replace(marker)
