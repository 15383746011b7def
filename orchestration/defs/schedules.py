"""Schedules: the nightly reconciliation that finds any due action the increments missed, housekeeping, and recovery."""

import dagster as dg

from orchestration.defs.jobs import housekeeping_job, reconcile_job, recovery_jobs
from orchestration.recovery import PLATFORMS
from orchestration.recovery.config import KEY_PREFIX, RecoverySettings

nightly = dg.ScheduleDefinition(
    job=reconcile_job,
    cron_schedule="17 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 03:17 UTC.",
)
hourly = dg.ScheduleDefinition(
    job=housekeeping_job,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, when the segments of the hour before are long closed.",
)


def recovery_schedule(source: str) -> dg.ScheduleDefinition:
    """Every hour, running from the start where there is a key to ask with."""
    has_key = RecoverySettings().key_of(source) is not None
    status = dg.DefaultScheduleStatus.RUNNING if has_key else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=f"recover_{source}_schedule",
        job=recovery_jobs[source],
        cron_schedule="7 * * * *",
        execution_timezone="UTC",
        default_status=status,
        description=f"Every hour: ask {source} what no webhook told. Running by default once it has an API key.",
    )
    def _recovery() -> dg.RunRequest | dg.SkipReason:
        if RecoverySettings().key_of(source) is None:
            return dg.SkipReason(f"no key to ask with; set {KEY_PREFIX}{source.upper()} (docs/recovery.md)")
        return dg.RunRequest()

    return _recovery


schedules = [nightly, hourly, *(recovery_schedule(source) for source in PLATFORMS)]
