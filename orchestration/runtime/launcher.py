"""Run launchers: runs start as forks, and a run whose process is gone is noticed.

A new process imports Dagster, dlt and dbt before its first step, which takes longer than a pass loads and builds; a
fork of a process that has imported them does not (`preload.py`, decision 0023).

Without the health check, a run that ended with its machine or by `kill -9` counts as started for ever: it holds its
pools, the landing sensor waits for it, and no pass starts again. The jobs' retries set what follows for such a run.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import dagster as dg
import psutil
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value

from orchestration.config import CODE_LOCATION, OrchestrationSettings
from orchestration.runtime import running

_FORK_SERVER = "orchestration.runtime.preload"
# a run counts as started a moment before it reports its process
_REPORTS_WITHIN_SECONDS = 60
_ANSWERS_WITHIN_SECONDS = 10.0


class WatchingRunLauncher(DefaultRunLauncher):
    """The default launcher with the health check that run monitoring needs, also for runs of `aftercall run`."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring may call the health check."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """The state of the run's process, by its lock file; without one, by the process id that the run reported."""
        is_alive = running.is_alive(OrchestrationSettings().dagster, run.run_id)
        if is_alive is not None:
            status = WorkerStatus.RUNNING if is_alive else WorkerStatus.NOT_FOUND
            return CheckRunHealthResult(status, None if is_alive else "the process that held the run is gone")
        if reported := self._reported(run.run_id):
            return health(*reported)
        record = self._instance.get_run_record_by_id(run.run_id)
        if record and record.start_time and 0 <= time.time() - record.start_time < _REPORTS_WITHIN_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.UNKNOWN, "the run never reported its process")

    def _reported(self, run_id: str) -> tuple[int, float] | None:
        """The process id that a run reported last, and when (epoch seconds)."""
        for entry in reversed(self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
            event = entry.dagster_event
            pid = event and event.engine_event_data.metadata.get("pid")
            if pid:
                return int(str(pid.value)), entry.timestamp
        return None


class ForkingRunLauncher(WatchingRunLauncher):
    """Starts the code location's runs as forks, and every other run as the default launcher does.

    The default launcher also starts runs while the fork server imports: at the first run, and after a change.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._server: _ForkServer | None = None
        self._lock = threading.Lock()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process. Raises DagsterLaunchFailedError, as the default launcher does."""
        origin = context.job_code_origin
        if origin is None or not _is_own_code(origin) or not self._fork(origin, context.dagster_run.run_id):
            super().launch_run(context)

    def _fork(self, origin: JobPythonOrigin, run_id: str) -> bool:
        """True if the server forked the run; False while it imports, and when it is gone and replaced."""
        arguments = serialize_value(ExecuteRunArgs(origin, run_id, self._instance.get_ref()))
        with self._lock:
            try:
                self._server = self._server or _ForkServer()
                return self._server.fork(arguments)
            except (EOFError, OSError):
                if self._server is not None:
                    self._server.kill()
                self._server = _ForkServer()
                return False

    def terminate(self, run_id: str) -> bool:
        """True if the run's process was asked to end, by the signal that Dagster's own server would send itself."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or GRPC_INFO_TAG in run.tags:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        reported = self._reported(run_id)
        if run.is_finished or reported is None or health(*reported).status is not WorkerStatus.RUNNING:
            return False
        self._instance.report_run_canceling(run)
        os.kill(reported[0], signal.SIGINT)
        return True

    def dispose(self) -> None:
        """End the server; its runs continue."""
        if self._server is not None:
            self._server.close()


def _is_own_code(origin: JobPythonOrigin) -> bool:
    pointer = origin.repository_origin.code_pointer
    return isinstance(pointer, ModuleCodePointer) and pointer.module == CODE_LOCATION


class _ForkServer:
    """A process of `preload.py`, and this end of the pipe to it."""

    def __init__(self) -> None:
        self._pipe, server_end = multiprocessing.Pipe()
        with server_end:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", _FORK_SERVER, str(server_end.fileno())], pass_fds=[server_end.fileno()]
            )
        self._is_ready = False

    def fork(self, arguments: str) -> bool:
        """True once a run is forked; False while the server imports. Raises EOFError or OSError when it is gone."""
        if not self._is_ready:
            if not self._pipe.poll():
                return False
            self._is_ready = bool(self._pipe.recv())
        self._pipe.send(arguments)
        if not self._pipe.poll(_ANSWERS_WITHIN_SECONDS):
            raise TimeoutError
        return bool(self._pipe.recv())

    def close(self) -> None:
        """Close the pipe, at which the server ends; nobody waits for it, because its runs may take long."""
        self._pipe.close()

    def kill(self) -> None:
        """End the server before it can start a run that another launcher starts now; its runs continue."""
        self.close()
        self._process.kill()
        self._process.wait()


def health(pid: int, reported_at: float) -> CheckRunHealthResult:
    """The state of the process that had this id at `reported_at` (epoch seconds); a younger one is another."""
    try:
        process = psutil.Process(pid)
        is_running = process.create_time() <= reported_at and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        is_running = False
    if is_running:
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} is gone")
