"""Schedules: the nightly reconciliation that finds any due action the increments missed, and the housekeeping."""

import dagster as dg

from orchestration.jobs import housekeeping_job, reconcile_job

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
schedules = [nightly, hourly]
