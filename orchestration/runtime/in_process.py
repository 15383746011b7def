"""Passes without a daemon: Dagster's own jobs, run in this process, so that its history shows them too."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import dispatch, open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.load.pipeline import has_new_lines
from orchestration.monitoring.incidents import evaluate
from orchestration.monitoring.paused_sensors import is_paused
from orchestration.runtime import history, history_files, pools, running
from orchestration.runtime import instance as dagster_instance
from orchestration.warehouse import exclusive

MOST_PASSES = 50
_LAUNCHED_BY = {"aftercall/launched_by": "cli"}
_RUN_CONFIG = {
    "loggers": {"console": {"config": {"log_level": "ERROR"}}},
    # no sensor follows that could make the copy which a pass skipped
    "ops": {"published": {"config": {"throttle_publish": False}}},
}


class PassFailed(Exception):
    """A step of the pass failed; the message names it."""


def run_until_done(
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    repository: dg.RepositoryDefinition,
    next_job: Callable[[], str],
    say: Callable[[str], None] = lambda _: None,
    check_signals: Callable[[], None] = lambda: None,
) -> int:
    """The number of passes made until nothing new had landed and nothing was due.

    Args:
        settings: those of the load and the build.
        integrations: those of the outbox and its channels.
        repository: the code location.
        next_job: gives the name of the job that makes the next pass.
        say: gets one sentence per pass.
        check_signals: called after each pass; raises where a signal came meanwhile, which is no failed pass.

    Raises:
        PassFailed: if a step failed.
        WarehouseBusy: if another `aftercall run` is at work.
    """
    dagster_instance.prepare(settings)
    with (
        exclusive(settings.home / "run.lock", settings.lock_timeout_seconds),
        dg.DagsterInstance.get() as instance,
    ):
        _fail_orphaned_runs(instance, settings)
        for number in range(1, MOST_PASSES + 1):
            started, job = time.monotonic(), next_job()
            try:
                with pools.watched(lambda: pools.free_the_dead(instance, settings)):
                    one_pass(instance, repository, job)
            except PassFailed:
                check_signals()
                _record_incidents(settings, integrations, instance, repository)
                _send_alerts(integrations)
                raise
            check_signals()
            _record_incidents(settings, integrations, instance, repository)
            say(f"pass {number}: {time.monotonic() - started:.1f} s")
            if not _is_work_left(settings, integrations, instance):
                break
        # no schedule prunes the history where passes are started by hand or by cron
        if history.is_due(instance, settings, job):
            history.prune(instance, settings, history_files.is_space_short(settings))
    return number


def one_pass(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, job: str) -> None:
    """Run a job of the code location, which makes a pass, in this process. Raises PassFailed."""
    result = repository.get_job(job).execute_in_process(
        instance=instance, raise_on_error=False, tags=_LAUNCHED_BY, run_config=_RUN_CONFIG
    )
    if not result.success:
        failures = [
            f"{event.step_key}: {event.step_failure_data.error}"
            for event in result.all_events
            if event.is_step_failure
        ]
        raise PassFailed("\n".join(failures) or "the pass failed before its first step")


def _record_incidents(
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
) -> None:
    with open_outbox(integrations.outbox_url) as outbox:
        evaluate(outbox, settings, integrations, instance, repository.job_names, datetime.now(UTC))


def _send_alerts(integrations: IntegrationSettings) -> None:
    """Send what is due in the channels of alerts: no pass follows a failed one that would."""
    with open_outbox(integrations.outbox_url) as outbox:
        for channel in ("chat", "email"):
            dispatch(outbox, channel, integrations)


def _is_work_left(
    settings: OrchestrationSettings, integrations: IntegrationSettings, instance: dg.DagsterInstance
) -> bool:
    if has_new_lines(settings):
        return True
    now = datetime.now(UTC)
    with open_outbox(integrations.outbox_url) as outbox:
        return any(
            outbox.backlog(channel, now).due for channel in CHANNELS if not is_paused(instance, channel)
        )


def _fail_orphaned_runs(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> None:
    """Fail the runs whose processes are gone and free their pools: without a daemon nobody else does.

    This command holds its lock, so no other run of the command is alive, whatever its record says.
    """
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses, tags=_LAUNCHED_BY)):
        instance.report_run_failed(run, "its process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        running.sweep(settings.dagster, {run.run_id})
    pools.free_the_dead(instance, settings)
