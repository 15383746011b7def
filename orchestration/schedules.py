"""Schedules: the nightly reconciliation that finds any due action the increments missed."""

import dagster as dg

from orchestration.jobs import reconcile_job

nightly = dg.ScheduleDefinition(
    job=reconcile_job,
    cron_schedule="17 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 03:17 UTC.",
)
schedules = [nightly]
