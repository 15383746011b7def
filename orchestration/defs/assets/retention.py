"""Housekeeping as assets of their own, outside the pass: see `orchestration/tools/retention.py` and `history.py`."""

import dagster as dg
import pandas as pd

from orchestration.defs.assets import metadata
from orchestration.defs.resources import Aftercall
from orchestration.runtime import history, history_files
from orchestration.tools import retention


@dg.asset(
    key="landing_archive",
    deps=["landing", dg.AssetKey(["raw", "call_events"])],
    group_name="landing",
    kinds={"file"},
    owners=["team:platform"],
    pool="landing_archive",
    description="Segments of the landing store that are closed and loaded: compressed, and removed "
    "`AFTERCALL_LANDING_RETENTION_DAYS` after their last line. What is not loaded is never removed.",
)
def landing_archive(context: dg.AssetExecutionContext, aftercall: Aftercall) -> dg.MaterializeResult[None]:
    """Compress and remove; what is kept back is shown with its reason."""
    report = retention.tidy(aftercall.orchestration())
    for reason, count in report.kept.items():
        context.log.info("kept back: %d segments, %s", count, reason)
    kept = pd.DataFrame(sorted(report.kept.items()), columns=["kept back because", "segments"])
    return dg.MaterializeResult(
        metadata={
            "segments": report.segments,
            "stored_bytes": report.stored_bytes,
            "compressed": report.archived,
            "bytes_before": report.bytes_before,
            "bytes_after": report.bytes_after,
            "removed": report.removed,
            "removed_bytes": report.removed_bytes,
            "kept_back": sum(report.kept.values()),
            "seconds": round(report.seconds, 2),
            "preview": metadata.table(kept),
        }
    )


@dg.asset(
    key="run_history",
    group_name="housekeeping",
    kinds={"dagster"},
    owners=["team:platform"],
    pool="run_history",
    description="Runs, their events and logs, and ticks of sensors: removed beyond AFTERCALL_RUN_RETENTION_COUNT of "
    "each job and after AFTERCALL_RUN_RETENTION_DAYS, all but the newest while space is short. What made an asset "
    "last, a check's last result and materialised days stay.",
)
def run_history(context: dg.AssetExecutionContext, aftercall: Aftercall) -> dg.MaterializeResult[None]:
    """Remove what is over the limits, and say what is left."""
    settings = aftercall.orchestration()
    report = history.prune(context.instance, settings, history_files.is_space_short(settings))
    return dg.MaterializeResult(
        metadata={
            "removed": report.removed,
            "dagster/row_count": report.left,
            "freed_bytes": report.freed_bytes,
            "seconds": round(report.seconds, 2),
        }
    )
