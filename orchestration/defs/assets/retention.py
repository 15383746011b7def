"""Housekeeping as assets outside the pass: the landing archive and Dagster's run history."""

import dagster as dg
import pandas as pd

from orchestration.defs.assets import metadata
from orchestration.defs.resources import Settings
from orchestration.runtime import history, history_files
from orchestration.tools import retention


@dg.asset(
    key="landing_archive",
    deps=["landing", dg.AssetKey(["raw", "call_events"])],
    group_name="landing",
    kinds={"file"},
    owners=["team:platform"],
    pool="landing_archive",
    description="Closed and loaded segments of the landing store: compressed, and removed "
    "AFTERCALL_LANDING_RETENTION_DAYS after their last line. A segment that is not loaded is never removed.",
)
def landing_archive(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult[None]:
    """Compress and remove segments; show those that stay, by reason."""
    report = retention.tidy(settings.orchestration())
    for reason, count in report.untouched.items():
        context.log.info("left as they are: %d segments, %s", count, reason)
    reasons = pd.DataFrame(sorted(report.untouched.items()), columns=["kept back because", "segments"])
    return dg.MaterializeResult(
        metadata={
            "segments": report.segments,
            "stored_bytes": report.stored_bytes,
            "compressed": report.archived,
            "bytes_before": report.bytes_before,
            "bytes_after": report.bytes_after,
            "removed": report.removed,
            "removed_bytes": report.removed_bytes,
            "kept_back": sum(report.untouched.values()),
            "seconds": round(report.seconds, 2),
            "preview": metadata.table(reasons),
        }
    )


@dg.asset(
    key="run_history",
    group_name="housekeeping",
    kinds={"dagster"},
    owners=["team:platform"],
    pool="run_history",
    description="Runs with their events and logs, and ticks of sensors: removed beyond AFTERCALL_RUN_RETENTION_COUNT "
    "per job and after AFTERCALL_RUN_RETENTION_DAYS; while space is short, all but the newest. The last result of an "
    "asset, the last result of a check and materialised days stay.",
)
def run_history(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult[None]:
    """Remove what is over the limits, and show what is left."""
    home_settings = settings.orchestration()
    report = history.prune(context.instance, home_settings, history_files.is_space_short(home_settings))
    return dg.MaterializeResult(
        metadata={
            "removed": report.removed,
            "dagster/row_count": report.left,
            "freed_bytes": report.freed_bytes,
            "seconds": round(report.seconds, 2),
        }
    )
