"""Dagster's own way to start a run, and one thing more: to notice that a run's process is gone.

Without it, a run that ended with its machine or by `kill -9` counts as started for ever: it keeps its pools, the
landing sensor waits for it, and no pass starts again. What follows for such a run is in the jobs' retries.
"""

import time

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

# a run counts as started a moment before it reports its process
_SAYS_WITHIN_SECONDS = 60


class WatchingRunLauncher(DefaultRunLauncher):
    """The default launcher, with the health check that run monitoring asks for; runs of `aftercall run` included."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that the run last reported as its own still lives on this machine."""
        for entry in reversed(self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
            event = entry.dagster_event
            pid = event and event.engine_event_data.metadata.get("pid")
            if pid:
                return health(int(str(pid.value)), entry.timestamp)
        record = self._instance.get_run_record_by_id(run.run_id)
        if record and record.start_time and time.time() - record.start_time < _SAYS_WITHIN_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.UNKNOWN, "the run never said which process it is")


def health(pid: int, reported_at: float) -> CheckRunHealthResult:
    """Of the process that had this id at `reported_at` (seconds of the epoch); a younger one is another."""
    try:
        process = psutil.Process(pid)
        is_it = process.create_time() <= reported_at and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        is_it = False
    if is_it:
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} is gone")
