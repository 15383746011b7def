"""Dagster's pools: waiting for one costs no CPU, ends on a signal, and ends when the holder of the pool is gone.

The assets name their pools. How a command ends on a signal belongs to `signals.py`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._utils.interrupts import pop_captured_interrupt

from orchestration.config import OrchestrationSettings
from orchestration.runtime import running
from orchestration.runtime.launcher import WatchingRunLauncher

LOOKS_EVERY_SECONDS = 10.0
"""Pause between two looks at whether the holder of a pool is alive."""
_LONGEST_WAIT_SECONDS = 15.0
_SHORTEST_NAP_SECONDS, _LONGEST_NAP_SECONDS = 0.05, 1.0
_while_waiting: list[Callable[[], object]] = []


def free_the_dead(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> list[str]:
    """The ids of the runs whose processes were gone: each is failed, and its pools are freed.

    A run that is alive, or may be, keeps its pools. A queued run is left alone: it holds none.
    """
    storage = instance.event_log_storage
    holders = set(storage.get_concurrency_run_ids()) if storage.supports_global_concurrency_limits else set()
    unfinished = {
        run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES)))
    }
    freed = []
    for run_id in holders | unfinished.keys():
        if not _is_gone(instance, settings, run_id, unfinished.get(run_id)):
            continue
        if run_id in unfinished:
            instance.report_run_failed(unfinished[run_id], "The process of this run is gone.")
        if run_id in holders:
            storage.free_concurrency_slots_for_run(run_id)
        running.sweep(settings.dagster, {run_id})
        freed.append(run_id)
    return freed


def _is_gone(
    instance: dg.DagsterInstance,
    settings: OrchestrationSettings,
    run_id: str,
    unfinished: dg.DagsterRun | None,
) -> bool:
    """True if certainly no process works on the run."""
    is_alive = running.is_alive(settings.dagster, run_id)
    if is_alive is not None:
        return not is_alive
    if unfinished is None:  # it is over, or was deleted
        run = instance.get_run_by_id(run_id)
        return run is None or run.is_finished
    launcher = instance.run_launcher
    if not isinstance(launcher, WatchingRunLauncher):
        return False
    return launcher.check_run_worker_health(unfinished).status is WorkerStatus.NOT_FOUND


@contextmanager
def watched(look: Callable[[], object]) -> Iterator[None]:
    """Inside, a run of this process that waits for a pool calls `look` every `LOOKS_EVERY_SECONDS`."""
    _while_waiting.append(look)
    try:
        yield
    finally:
        _while_waiting.remove(look)


def _nap_seconds(self: InstanceConcurrencyContext) -> float:
    """Seconds that a run waiting for a pool may sleep. Raises DagsterExecutionInterruptedError on a signal.

    Dagster's own version never returns more than 0, so a waiting run uses a whole core and sees no signal.
    """
    if pop_captured_interrupt():
        raise DagsterExecutionInterruptedError
    if not self._pending_claims:
        return 0.0
    _look(self)
    now = time.time()
    for step, ready_at in self._pending_timeouts.items():
        if ready_at - now > _LONGEST_WAIT_SECONDS:  # the clock was set back
            self._pending_timeouts[step] = now
    soonest = min((ready_at - now for ready_at in self._pending_timeouts.values()), default=0.0)
    return min(_LONGEST_NAP_SECONDS, max(_SHORTEST_NAP_SECONDS, soonest))


def _look(waiting: InstanceConcurrencyContext) -> None:
    now = time.monotonic()
    looked_at = waiting.__dict__.setdefault("aftercall_looked_at", now)
    if now - looked_at >= LOOKS_EVERY_SECONDS:
        waiting.__dict__["aftercall_looked_at"] = now
        for look in tuple(_while_waiting):
            look()


InstanceConcurrencyContext.interval_to_next_pending_claim_check = _nap_seconds  # type: ignore[method-assign]
