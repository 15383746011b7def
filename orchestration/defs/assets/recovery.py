"""Recovery as assets: one per platform that runs every hour, and one per platform that imports history by day.

Both are outside the pass; the next pass loads what they land. They import dlt's REST client when they run: every run
imports this module, and a pass need not wait half a second for it.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from orchestration.defs.assets import metadata
from orchestration.defs.assets.raw import OWNERS
from orchestration.defs.partitions import WHOLE_DAYS
from orchestration.defs.resources import Settings
from orchestration.recovery import PLATFORMS
from orchestration.recovery.config import HISTORY, RecoverySettings
from orchestration.recovery.platform import Bounds

if TYPE_CHECKING:
    from orchestration.recovery.recover import RecoveryReport

LOSS = "webhook_loss"
GROUP = "recovery"
_LANDED = dg.AssetKey(["raw", "call_events"])


def recovery_asset(source: str) -> dg.AssetsDefinition:
    """The hourly recovery of one platform."""
    key = dg.AssetKey(["recovery", source])

    @dg.asset(
        key=key,
        deps=[_LANDED],
        group_name=GROUP,
        kinds={"dlt"},
        owners=OWNERS,
        pool=f"recovery_{source}",
        check_specs=[
            dg.AssetCheckSpec(
                LOSS, asset=key, description="Webhooks brought every call that the platform lists."
            )
        ],
        description=f"Calls that {source} lists ({PLATFORMS[source].calls}) and whose webhooks were lost; they land "
        "marked as `recovered`.",
    )
    def _recovery(settings: Settings) -> Iterator[Any]:
        from orchestration.recovery.recover import recover

        recovery, started = settings.recovery(), time.monotonic()
        report = recover(settings.orchestration(), recovery, source)
        yield dg.MaterializeResult(
            metadata=_results(report, started), check_results=[loss_check(report, recovery)]
        )

    return _recovery


def history_asset(source: str) -> dg.AssetsDefinition:
    """The import of one platform's history: one partition per day."""

    @dg.asset(
        key=[HISTORY, source],
        deps=[_LANDED],
        group_name=GROUP,
        kinds={"dlt"},
        owners=OWNERS,
        pool=f"recovery_{source}",
        partitions_def=WHOLE_DAYS,
        description=f"Calls of a day (UTC) that {source} lists and the warehouse lacks. To import history at the first "
        "set-up, backfill its days; actions that are too old are skipped.",
    )
    def _history(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult[None]:
        from orchestration.recovery.recover import recover

        window, started = context.partition_time_window, time.monotonic()
        report = recover(
            settings.orchestration(), settings.recovery(), source, Bounds(window.start, window.end)
        )
        return dg.MaterializeResult(metadata=_results(report, started))

    return _history


def loss_check(report: "RecoveryReport", recovery: RecoverySettings) -> dg.AssetCheckResult:
    """A warning that names the days on which more calls than allowed came without their webhooks."""
    allowed = recovery.recovery_loss_percent
    bad = [day for day in report.days if day.loss_percent > allowed]
    days = "; ".join(
        f"{day.day}: {day.listed - day.received} of {day.listed} calls ({day.loss_percent:.1f} %)"
        for day in bad
    )
    return dg.AssetCheckResult(
        check_name=LOSS,
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{report.source} sent no webhook, or not every one, of {days}. They are recovered; look at the "
        "delivery log of the platform, and at docs/recovery.md."
        if bad
        else f"{report.source}: every call listed came by webhook"
        + (f", but for up to {allowed:g} % of a day." if allowed else "."),
        metadata={
            "days": metadata.table(_frame(report)),
            "worst_percent": round(report.worst_percent, 2),
        },
    )


def _results(report: "RecoveryReport", started: float) -> dict[str, dg.TableMetadataValue | int | float]:
    """Numbers of a recovery; `started` is a time of the monotonic clock."""
    return {
        "dagster/row_count": report.listed,
        "seconds": round(time.monotonic() - started, 2),
        "listed": report.listed,
        "incomplete": report.missing,
        "events_landed": report.landed,
        "preview": metadata.table(_frame(report)),
    }


def _frame(report: "RecoveryReport") -> pd.DataFrame:
    rows = [
        (day.day, day.listed, day.received, day.recovered, day.missing, round(day.loss_percent, 2))
        for day in report.days
    ]
    names = ["day", "listed", "received", "recovered_before", "recovered_now", "loss_percent"]
    return pd.DataFrame(rows, columns=names)


recovery_assets = [recovery_asset(source) for source in PLATFORMS]
history_assets = [history_asset(source) for source in PLATFORMS]
LISTED_CALLS = dg.AssetSpec(
    ["raw", "listed_calls"],
    deps=[key for asset in (*recovery_assets, *history_assets) for key in asset.keys],
    group_name=GROUP,
    kinds={"dlt", "duckdb"},
    owners=OWNERS,
    description="The calls that the platforms' list APIs know, one row per call, as listed last.",
)
