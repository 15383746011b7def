"""Sensors: new bytes in the landing store, work waiting in a channel, a copy to be published, problems.

A sensor decides whether to run, and never opens the warehouse.
"""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from integrations.outbox import open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.defs.assets.channels import CHANNELS, sensor_name
from orchestration.defs.assets.models import is_complete
from orchestration.defs.checks.incidents import SUBJECTS, evaluation
from orchestration.defs.jobs import channel_jobs, complete_job, pass_job, publish_job, reconcile_job
from orchestration.defs.resources import Aftercall
from orchestration.load.pipeline import landing_backlog
from orchestration.monitoring.incidents import evaluate
from orchestration.runtime import history, history_files
from orchestration.warehouse import publish
from receiver.landing import open_landing

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
# a sensor has 60 s
_PRUNES_SECONDS = 30.0


def _newest(instance: dg.DagsterInstance, *jobs: str) -> dg.RunRecord | None:
    """The run of these jobs that was asked for last."""
    records = [
        record for job in jobs for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    ]
    return max(records, key=lambda record: record.create_timestamp, default=None)


def _under_way(instance: dg.DagsterInstance, *jobs: str) -> str | None:
    """The first of these jobs that has a run which is not over, or whose retry is about to start."""
    for job in jobs:
        if instance.get_runs(dg.RunsFilter(job_name=job, statuses=list(_UNDER_WAY)), limit=1):
            return job
        last = _newest(instance, job)
        # Dagster says whether it will be retried only after it has said that it failed
        has_failed = last is not None and last.dagster_run.status is dg.DagsterRunStatus.FAILURE
        if last and has_failed and last.dagster_run.tags.get("dagster/will_retry") != "false":
            ago = _failed_seconds_ago(instance, job)
            if ago is not None and ago < _RETRY_STARTS_WITHIN_SECONDS:
                return f"a retry of {job}"
    return None


def _failed_seconds_ago(instance: dg.DagsterInstance, *jobs: str) -> float | None:
    """Seconds since the end of the newest run of these jobs, if it is over and did not end well; else None.

    Infinite for an end in the future: the clock was set back, and no pause may become longer by that.
    """
    last = _newest(instance, *jobs)
    if last is None or last.end_time is None or last.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
        return None
    ago = datetime.now(UTC).timestamp() - last.end_time
    return ago if ago >= 0 else math.inf


@dg.sensor(
    jobs=[pass_job, complete_job],
    minimum_interval_seconds=OrchestrationSettings().landing_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="New bytes in the landing store start a pass; while one runs, the next waits for it. "
    "A pass that failed, and its retries too, is started again after a pause. Until the project as it stands was built "
    "once, the pass is a complete one.",
)
def landing_sensor(
    context: dg.SensorEvaluationContext, aftercall: Aftercall
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """No run key: Dagster remembers those for ever. The cursor is what the landing store held last time."""
    settings = aftercall.orchestration()
    if job := _under_way(context.instance, *_PASSES):
        yield dg.SkipReason(f"{job} is under way")
        return
    segments = [(segment.path, segment.size) for segment in open_landing(settings.landing).segments()]
    held = json.dumps([len(segments), sum(size for _, size in segments), segments[-1:]])
    failed = _failed_seconds_ago(context.instance, *_PASSES)
    if failed is not None and (held != context.cursor or failed >= settings.failed_run_pause_seconds):
        context.update_cursor(held)
        yield _pass(settings)
    elif failed is not None:
        pause = settings.failed_run_pause_seconds - failed
        yield dg.SkipReason(f"the last pass failed; the next starts in {pause:.0f} s")
    elif held == context.cursor:
        yield dg.SkipReason("nothing new has landed")
    elif not landing_backlog(settings):
        context.update_cursor(held)
        yield dg.SkipReason("all that landed is loaded")
    else:
        context.update_cursor(held)
        yield _pass(settings)


def _pass(settings: OrchestrationSettings) -> dg.RunRequest:
    return dg.RunRequest(job_name=(pass_job if is_complete(settings) else complete_job).name)


def _channel_sensor(channel: str) -> dg.SensorDefinition:
    own = channel_jobs[channel].name

    @dg.sensor(
        name=sensor_name(channel),
        job=channel_jobs[channel],
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Retries, updates and leftovers of the {channel} channel. Switch it off to pause {channel}.",
    )
    def _sensor(context: dg.SensorEvaluationContext, aftercall: Aftercall) -> dg.RunRequest | dg.SkipReason:
        if job := _under_way(context.instance, *_PASSES, own):
            return dg.SkipReason(f"{job} is under way")
        with open_outbox(aftercall.integrations().outbox_url) as outbox:
            waiting = outbox.backlog(channel, datetime.now(UTC)).due
        if not waiting:
            return dg.SkipReason("nothing is due")
        failed = _failed_seconds_ago(context.instance, own)
        pause = aftercall.orchestration().failed_run_pause_seconds
        if failed is not None and failed < pause:
            return dg.SkipReason(f"the last {own} failed; the next starts in {pause - failed:.0f} s")
        return dg.RunRequest()

    return _sensor


@dg.sensor(
    job=publish_job,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes what a pass left unpublished because the last copy was too fresh.",
)
def published_sensor(
    context: dg.SensorEvaluationContext, aftercall: Aftercall
) -> dg.RunRequest | dg.SkipReason:
    """Compares the versions alone: the warehouse stays closed."""
    settings = aftercall.orchestration()
    if job := _under_way(
        context.instance, *_PASSES, *(job.name for job in channel_jobs.values()), publish_job.name
    ):
        return dg.SkipReason(f"{job} is under way")
    if not settings.published.exists():  # `init` makes the warehouse, and a first pass publishes by itself
        return dg.SkipReason("there is no copy yet; the next pass makes one")
    if not publish.is_behind(settings):
        return dg.SkipReason("the copy is what the warehouse holds")
    if wait := publish.wait_seconds(settings):
        return dg.SkipReason(f"the last copy is fresh; the next in {wait:.0f} s")
    failed = _failed_seconds_ago(context.instance, publish_job.name)
    if failed is not None and failed < settings.failed_run_pause_seconds:
        return dg.SkipReason(f"the last {publish_job.name} failed {failed:.0f} s ago")
    return dg.RunRequest()


@dg.sensor(
    minimum_interval_seconds=OrchestrationSettings().problem_sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for problems every minute: each is told once when it begins and once when it is over, and shown "
    "by the asset checks.",
)
def problem_sensor(context: dg.SensorEvaluationContext, aftercall: Aftercall) -> dg.SensorResult:
    """Reports a check when its problems are others than the last time; the cursor is what they were."""
    integrations = aftercall.integrations()
    with open_outbox(integrations.outbox_url) as outbox:
        settings, now = aftercall.orchestration(), datetime.now(UTC)
        reconciled = evaluate(outbox, settings, integrations, context.instance, now, is_service=True)
        found = reconciled.open
    shown = {f"{asset}:{name}": evaluation(asset, name, found) for asset, name in SUBJECTS}
    told = {subject: sorted(one.metadata) for subject, one in shown.items()}
    before = json.loads(context.cursor or "{}")
    return dg.SensorResult(
        asset_events=[one for subject, one in shown.items() if told[subject] != before.get(subject)],
        cursor=json.dumps(told),
        skip_reason=dg.SkipReason(f"{len(found)} problems" if found else "no problem"),
    )


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Removes Dagster's old runs at once while the disk has less free than twice what the receiver keeps "
    "free; without that, housekeeping does so every hour.",
)
def space_sensor(context: dg.SensorEvaluationContext, aftercall: Aftercall) -> dg.SkipReason:
    """Removes by itself, within the time that a sensor has: a run would first write to the disk that is full."""
    settings = aftercall.orchestration()
    if not history_files.is_space_short(settings):
        return dg.SkipReason("there is room")
    report = history.prune(context.instance, settings, is_short=True, most_seconds=_PRUNES_SECONDS)
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
