"""Sensors: new bytes in the landing store, actions due in a channel, a copy to publish, incidents, space.

A sensor decides whether a run starts, and never opens the warehouse.
"""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from integrations.destinations import CHANNELS
from orchestration.config import OrchestrationSettings
from orchestration.defs.checks import INCIDENT_CHECKS, evaluation
from orchestration.defs.jobs import (
    channel_jobs,
    complete_job,
    next_pass,
    pass_job,
    publish_job,
    reconcile_job,
)
from orchestration.defs.resources import Dbt, Landing, Outbox, Settings, Warehouse
from orchestration.load.pipeline import landing_backlog
from orchestration.monitoring.incidents import evaluate
from orchestration.monitoring.paused_sensors import sensor_name
from orchestration.runtime import history, history_files
from orchestration.warehouse import publish

_INTERVALS = OrchestrationSettings()
_UNDER_WAY = {
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
}
_PASSES = (pass_job.name, complete_job.name, reconcile_job.name)
# Dagster starts a retry some seconds after the failure
_RETRY_STARTS_WITHIN_SECONDS = 60
# Dagster ends a sensor after 60 s
_PRUNES_SECONDS = 30.0


def _newest(instance: dg.DagsterInstance, *jobs: str) -> dg.RunRecord | None:
    """The run of these jobs that was created last."""
    records = [
        record for job in jobs for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    ]
    return max(records, key=lambda record: record.create_timestamp, default=None)


def _under_way(instance: dg.DagsterInstance, *jobs: str) -> str | None:
    """The first of these jobs with an unfinished run, or with a retry about to start; None if there is none."""
    for job in jobs:
        if instance.get_runs(dg.RunsFilter(job_name=job, statuses=list(_UNDER_WAY)), limit=1):
            return job
        last = _newest(instance, job)
        # Dagster records whether it retries a run only after it has recorded the failure
        has_failed = last is not None and last.dagster_run.status is dg.DagsterRunStatus.FAILURE
        if last and has_failed and last.dagster_run.tags.get("dagster/will_retry") != "false":
            ago = _failed_seconds_ago(instance, job)
            if ago is not None and ago < _RETRY_STARTS_WITHIN_SECONDS:
                return f"a retry of {job}"
    return None


def _failed_seconds_ago(instance: dg.DagsterInstance, *jobs: str) -> float | None:
    """Seconds since the newest run of these jobs failed; None if it succeeded or has not ended.

    Infinite for an end in the future: the clock was set back, which must not prolong a pause.
    """
    last = _newest(instance, *jobs)
    if last is None or last.end_time is None or last.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
        return None
    ago = datetime.now(UTC).timestamp() - last.end_time
    return ago if ago >= 0 else math.inf


@dg.sensor(
    jobs=[pass_job, complete_job],
    minimum_interval_seconds=_INTERVALS.landing_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a pass when new bytes have landed and no pass is running. After a pass and its retries failed, "
    "starts the next one after a pause. The pass is a complete one until the project as it stands was built once.",
)
def landing_sensor(
    context: dg.SensorEvaluationContext, settings: Settings, landing: Landing, dbt: Dbt
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """The cursor is what the landing store held at the last look. No run keys: Dagster never forgets them."""
    home_settings = settings.orchestration()
    if job := _under_way(context.instance, *_PASSES):
        yield dg.SkipReason(f"{job} is under way")
        return
    segments = [(segment.path, segment.size) for segment in landing.open().segments()]
    contents = json.dumps([len(segments), sum(size for _, size in segments), segments[-1:]])
    failed, pause = _failed_seconds_ago(context.instance, *_PASSES), home_settings.failed_run_pause_seconds
    if failed is not None and (contents != context.cursor or failed >= pause):
        context.update_cursor(contents)
        yield dg.RunRequest(job_name=next_pass(dbt))
    elif failed is not None:
        yield dg.SkipReason(f"the last pass failed; the next starts in {pause - failed:.0f} s")
    elif contents == context.cursor:
        yield dg.SkipReason("nothing new has landed")
    elif not landing_backlog(home_settings):
        context.update_cursor(contents)
        yield dg.SkipReason("every landed event is loaded")
    else:
        context.update_cursor(contents)
        yield dg.RunRequest(job_name=next_pass(dbt))


def _channel_sensor(channel: str) -> dg.SensorDefinition:
    own = channel_jobs[channel].name

    @dg.sensor(
        name=sensor_name(channel),
        job=channel_jobs[channel],
        minimum_interval_seconds=_INTERVALS.channel_sensor_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts the {channel} job when actions are due between passes. Switch it off to pause {channel}.",
    )
    def _sensor(
        context: dg.SensorEvaluationContext, settings: Settings, outbox: Outbox
    ) -> dg.RunRequest | dg.SkipReason:
        if job := _under_way(context.instance, *_PASSES, own):
            return dg.SkipReason(f"{job} is under way")
        with outbox.open() as opened:
            due = opened.backlog(channel, datetime.now(UTC)).due
        if not due:
            return dg.SkipReason("nothing is due")
        failed = _failed_seconds_ago(context.instance, own)
        pause = settings.orchestration().failed_run_pause_seconds
        if failed is not None and failed < pause:
            return dg.SkipReason(f"the last {own} failed; the next starts in {pause - failed:.0f} s")
        return dg.RunRequest()

    return _sensor


@dg.sensor(
    job=publish_job,
    minimum_interval_seconds=_INTERVALS.published_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes the published copy that a pass skipped because the last one was fresh.",
)
def published_sensor(
    context: dg.SensorEvaluationContext, settings: Settings, warehouse: Warehouse
) -> dg.RunRequest | dg.SkipReason:
    """Compares the versions of warehouse and copy; the warehouse stays closed."""
    home_settings = settings.orchestration()
    if job := _under_way(
        context.instance, *_PASSES, *(job.name for job in channel_jobs.values()), publish_job.name
    ):
        return dg.SkipReason(f"{job} is under way")
    if (
        warehouse.open().published.version() is None
    ):  # `init` makes the warehouse, and the first pass publishes
        return dg.SkipReason("there is no copy yet; the next pass makes one")
    if not publish.is_behind(home_settings):
        return dg.SkipReason("the copy is up to date")
    if wait := publish.wait_seconds(home_settings):
        return dg.SkipReason(f"the last copy is fresh; the next in {wait:.0f} s")
    failed = _failed_seconds_ago(context.instance, publish_job.name)
    if failed is not None and failed < home_settings.failed_run_pause_seconds:
        return dg.SkipReason(f"the last {publish_job.name} failed {failed:.0f} s ago")
    return dg.RunRequest()


@dg.sensor(
    minimum_interval_seconds=_INTERVALS.problem_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for incidents: sends one alert when an incident begins and one when it ends, and shows open "
    "ones as asset checks.",
)
def problem_sensor(
    context: dg.SensorEvaluationContext, settings: Settings, outbox: Outbox
) -> dg.SensorResult:
    """Reports each check whose incidents changed since the last look; the cursor holds their keys."""
    if context.repository_def is None:
        raise ValueError("problem_sensor needs the code location: build its context with repository_def")
    with outbox.open() as opened:
        incidents = evaluate(
            opened,
            settings.orchestration(),
            settings.integrations(),
            context.instance,
            context.repository_def.job_names,
            datetime.now(UTC),
            is_service=True,
        ).open
    results = {f"{asset}:{name}": evaluation(asset, name, incidents) for asset, name in INCIDENT_CHECKS}
    keys = {subject: sorted(result.metadata) for subject, result in results.items()}
    reported = json.loads(context.cursor or "{}")
    return dg.SensorResult(
        asset_events=[
            result for subject, result in results.items() if keys[subject] != reported.get(subject)
        ],
        cursor=json.dumps(keys),
        skip_reason=dg.SkipReason(f"{len(incidents)} open incidents" if incidents else "no open incident"),
    )


@dg.sensor(
    minimum_interval_seconds=_INTERVALS.space_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Removes Dagster's old runs at once while free space is below twice the receiver's reserve; otherwise "
    "housekeeping removes them every hour.",
)
def space_sensor(context: dg.SensorEvaluationContext, settings: Settings) -> dg.SkipReason:
    """Removes the runs itself: starting a run would first write to the full disk."""
    home_settings = settings.orchestration()
    if not history_files.is_space_short(home_settings):
        return dg.SkipReason("there is room")
    report = history.prune(context.instance, home_settings, is_short=True, most_seconds=_PRUNES_SECONDS)
    return dg.SkipReason(
        f"space is short: removed {report.removed} runs, {report.freed_bytes} bytes; {report.left} runs are left"
    )


sensors = [
    landing_sensor,
    *(_channel_sensor(channel) for channel in CHANNELS),
    published_sensor,
    problem_sensor,
    space_sensor,
]
