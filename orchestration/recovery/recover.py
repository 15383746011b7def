"""The whole of a recovery: list, compare, land. Killed at any point, the next one does what is left.

Which calls a platform lists is remembered by dlt, what has landed by the landing store; nothing else is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.config import OrchestrationSettings
from orchestration.recovery import PLATFORMS
from orchestration.recovery.config import RecoverySettings
from orchestration.recovery.listed_calls import list_calls
from orchestration.recovery.platform import EVER, Bounds
from orchestration.recovery.reconciliation import Day, standing
from orchestration.recovery.write_events import land
from orchestration.warehouse import exclusive

Progress = Callable[[str, int, int | None], None]
"""Told what is being done (`listing`, `recovering`), how many calls are done, and of how many, if that is known."""


@dataclass(frozen=True)
class RecoveryReport:
    """Calls listed now; calls missing something; events landed; the days of the window as they stood before that."""

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
    """Land what the platform knows and no webhook told, of calls created within bounds.

    Without bounds: from the newest call listed before, less the look-back; the first time, the look-back alone. A dry
    run lists and compares only. Raises RecoveryFailed (the API), LandingUnavailable (the disk), WarehouseBusy (another
    process; also another recovery of the same source).
    """
    platform = PLATFORMS[source]
    now = datetime.now(UTC)
    asked = bounds or Bounds(now - _look_back(recovery), now, is_open=True)
    folder = settings.home / "recovery"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f"{source}.lock", settings.lock_timeout_seconds):
        listed = list_calls(settings, recovery, platform, asked, lambda done: progress("listing", done, None))
        # whatever was ever listed and is still missing, not only what is listed now: an answer may have failed since
        compared = asked if bounds else Bounds(EVER, now)
        found = standing(settings, source, compared)
        total = len(found.missing)
        landed = 0
        if not dry_run and total:
            progress("recovering", 0, total)
            landed = land(
                settings,
                recovery,
                platform,
                found.missing,
                asked.since,
                lambda done: progress("recovering", done, total),
            )
    days = [day for day in found.days if day.day >= asked.since.date()]
    return RecoveryReport(source, listed, total, landed, days)


def _look_back(recovery: RecoverySettings) -> timedelta:
    return timedelta(hours=recovery.recovery_look_back_hours)
