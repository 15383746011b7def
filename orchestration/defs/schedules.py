"""Schedules: the nightly reconciliation, which finds due actions that passes missed; housekeeping; recovery."""

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
    description="Every hour at :37, when the segments of the previous hour are closed.",
)


def recovery_schedule(source: str) -> dg.ScheduleDefinition:
    """The hourly recovery of a platform; it runs by default where the platform has an API key."""
    has_key = RecoverySettings().key_of(source) is not None
    status = dg.DefaultScheduleStatus.RUNNING if has_key else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=f"recover_{source}_schedule",
        job=recovery_jobs[source],
        cron_schedule="7 * * * *",
        execution_timezone="UTC",
        default_status=status,
        description=f"Every hour: find calls of {source} whose webhooks were lost. On by default once there is a key.",
    )
    def _recovery() -> dg.RunRequest | dg.SkipReason:
        if RecoverySettings().key_of(source) is None:
            return dg.SkipReason(
                f"{source} has no API key: set {KEY_PREFIX}{source.upper()} (docs/recovery.md)"
            )
        return dg.RunRequest()

    return _recovery


schedules = [nightly, hourly, *(recovery_schedule(source) for source in PLATFORMS)]
