"""Sensors: new bytes in the landing store, work waiting in a channel, a failed run.

A sensor decides whether to run, and never opens the warehouse.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from integrations.outbox import alert, open_outbox
from orchestration.assets.channels import CHANNELS, sensor_name
from orchestration.config import OrchestrationSettings
from orchestration.jobs import channel_jobs, pass_job, reconcile_job
from orchestration.load.pipeline import landing_backlog
from orchestration.resources import Aftercall
from receiver.landing import open_landing

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def _is_under_way(instance: dg.DagsterInstance, job_name: str) -> bool:
    return bool(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNDER_WAY), limit=1))


@dg.sensor(
    job=pass_job,
    minimum_interval_seconds=OrchestrationSettings().landing_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="New bytes in the landing store start a pass; while one runs, the next waits for it.",
)
def landing_sensor(
    context: dg.SensorEvaluationContext, aftercall: Aftercall
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """No run key: Dagster remembers those for ever. The cursor is what the landing store held last time."""
    settings = aftercall.orchestration()
    if _is_under_way(context.instance, pass_job.name):
        yield dg.SkipReason("a pass is under way")
        return
    segments = [(segment.path, segment.size) for segment in open_landing(settings.home).segments()]
    held = json.dumps([len(segments), sum(size for _, size in segments), segments[-1:]])
    if held == context.cursor:
        yield dg.SkipReason("nothing new has landed")
    elif not landing_backlog(settings):
        context.update_cursor(held)
        yield dg.SkipReason("all that landed is loaded")
    else:
        context.update_cursor(held)
        yield dg.RunRequest()


def _channel_sensor(channel: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=sensor_name(channel),
        job=channel_jobs[channel],
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Retries, updates and leftovers of the {channel} channel. Switch it off to pause {channel}.",
    )
    def _sensor(context: dg.SensorEvaluationContext, aftercall: Aftercall) -> dg.RunRequest | dg.SkipReason:
        for job in (pass_job.name, reconcile_job.name, channel_jobs[channel].name):
            if _is_under_way(context.instance, job):
                return dg.SkipReason(f"{job} is under way")
        with open_outbox(aftercall.integrations().outbox_url) as outbox:
            waiting = outbox.backlog(channel, datetime.now(UTC)).due
        return dg.RunRequest() if waiting else dg.SkipReason("nothing is due")

    return _sensor


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A failed run becomes one alert a job and hour, through the outbox like every other message.",
)
def run_failure_alert(context: dg.RunFailureSensorContext) -> None:
    """The alert names the job, the run and the error; it holds nothing of a call."""
    settings = Aftercall().integrations()
    run = context.dagster_run
    failed_at = datetime.now(UTC)
    with open_outbox(settings.outbox_url) as outbox:
        alert(
            outbox,
            f"{run.job_name}:{failed_at:%Y-%m-%dT%H}",
            f"Run of {run.job_name} failed",
            settings,
            failed_at,
            summary=f"Run {run.run_id}: {context.failure_event.message}",
            action_needed="Open the run in the Dagster UI; nothing is lost, a new run goes on where it stopped.",
        )


sensors = [landing_sensor, *(_channel_sensor(channel) for channel in CHANNELS), run_failure_alert]
