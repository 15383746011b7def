"""One pass without a daemon: Dagster's own job, run in this process, so that its history shows it too."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from integrations.config import IntegrationSettings
from integrations.outbox import dispatch, open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.runtime import instance as dagster_instance
from orchestration.runtime import pools, running
from orchestration.warehouse import duckdb_file

MOST_PASSES = 50
_LAUNCHED_BY = {"aftercall/launched_by": "cli"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


class PassFailed(Exception):
    """A step of the pass failed; the message names it."""


def run_until_done(
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    say: Callable[[str], None] = lambda _: None,
    everything: bool = False,
    check_signals: Callable[[], None] = lambda: None,
) -> int:
    """Passes until nothing new has landed and nothing is due now; how many it took.

    `check_signals` is called after each pass: a signal that came meanwhile is no failed pass, and raises there.
    Raises PassFailed, and WarehouseBusy when another `aftercall run` is at work.
    """
    dagster_instance.prepare(settings)
    with (
        duckdb_file.exclusive(settings.home / "run.lock", settings.lock_timeout_seconds),
        dg.DagsterInstance.get() as instance,
    ):
        _fail_orphaned_runs(instance, settings)
        for number in range(1, MOST_PASSES + 1):
            started = time.monotonic()
            try:
                with pools.watched(lambda: pools.free_the_dead(instance, settings)):
                    one_pass(settings, instance, everything)
            except PassFailed:
                check_signals()
                _tell_problems(settings, integrations, instance)
                raise
            check_signals()
            _look_for_problems(settings, integrations, instance)
            say(f"pass {number}: {time.monotonic() - started:.1f} s")
            if not _is_work_left(settings, integrations, instance):
                break
        _keep_house(settings, instance)
    return number


def _keep_house(settings: OrchestrationSettings, instance: dg.DagsterInstance) -> None:
    """Remove what is over the limits: no schedule does, where passes are started by hand or by cron."""
    from orchestration.defs.jobs import pass_job
    from orchestration.runtime import history, history_files

    if history.is_due(instance, settings, pass_job.name):
        history.prune(instance, settings, history_files.is_space_short(settings))


def one_pass(settings: OrchestrationSettings, instance: dg.DagsterInstance, everything: bool = False) -> None:
    """The job that the landing sensor starts, in this process. Raises PassFailed."""
    from orchestration.definitions import defs
    from orchestration.defs.assets.models import is_complete
    from orchestration.defs.assets.published import SPARING_TAG
    from orchestration.defs.jobs import complete_job, pass_job, reconcile_job

    usual = pass_job if is_complete(settings) else complete_job
    job = defs.resolve_job_def((reconcile_job if everything else usual).name)
    # no sensor follows that could make up for a copy that was left out
    tags = {**_LAUNCHED_BY, SPARING_TAG: "no"}
    result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags, run_config=_QUIET)
    if not result.success:
        failures = [
            f"{event.step_key}: {event.step_failure_data.error}"
            for event in result.all_events
            if event.is_step_failure
        ]
        raise PassFailed("\n".join(failures) or "the pass failed before its first step")


def _look_for_problems(
    settings: OrchestrationSettings, integrations: IntegrationSettings, instance: dg.DagsterInstance
) -> None:
    from orchestration.monitoring.incidents import evaluate

    with open_outbox(integrations.outbox_url) as outbox:
        evaluate(outbox, settings, integrations, instance, datetime.now(UTC))


def _tell_problems(
    settings: OrchestrationSettings, integrations: IntegrationSettings, instance: dg.DagsterInstance
) -> None:
    """After a pass that failed no other follows that would send the alerts."""
    _look_for_problems(settings, integrations, instance)
    with open_outbox(integrations.outbox_url) as outbox:
        for channel in ("chat", "email"):
            dispatch(outbox, channel, integrations)


def _is_work_left(
    settings: OrchestrationSettings, integrations: IntegrationSettings, instance: dg.DagsterInstance
) -> bool:
    from orchestration.defs.assets.channels import CHANNELS, is_paused
    from orchestration.load.pipeline import has_new_lines

    if has_new_lines(settings):
        return True
    now = datetime.now(UTC)
    with open_outbox(integrations.outbox_url) as outbox:
        return any(
            outbox.backlog(channel, now).due for channel in CHANNELS if not is_paused(instance, channel)
        )


def _fail_orphaned_runs(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> None:
    """Fail the runs whose processes are gone and free their pools: without a daemon nobody else would.

    Under the lock of this command no other run of the command lives, whatever else can be told of such a run.
    """
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses, tags=_LAUNCHED_BY)):
        instance.report_run_failed(run, "its process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        running.sweep(settings.dagster, {run.run_id})
    pools.free_the_dead(instance, settings)
