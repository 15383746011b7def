"""Whether a run's process lives, told of a real one before and after it is killed."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import dagster as dg
import psutil
from dagster._core.launcher import WorkerStatus

from orchestration.runtime.launcher import WatchingRunLauncher, health
from tests.conftest import AFTERCALL, ROOT
from tests.dagster_ui import wait_until


def test_a_run_is_healthy_until_its_process_is_killed(installation: Any, dagster: dg.DagsterInstance) -> None:
    launcher = dagster.run_launcher
    assert isinstance(launcher, WatchingRunLauncher)
    assert launcher.supports_check_run_worker_health
    program = [sys.executable, "-c", AFTERCALL, "run"]
    process = subprocess.Popen(program, cwd=ROOT, env=installation.environment(), stdout=subprocess.PIPE)

    def status() -> WorkerStatus | None:
        runs = dagster.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return launcher.check_run_worker_health(runs[0]).status if runs else None

    try:
        wait_until(lambda: status() is WorkerStatus.RUNNING, "the run says that it is at work")
    finally:
        process.send_signal(signal.SIGKILL)
    is_dead = psutil.Process(process.pid).status
    wait_until(lambda: is_dead() == psutil.STATUS_ZOMBIE, "it is dead, and its parent has not looked")
    # the last of its threads gives back what the process held
    wait_until(lambda: status() is WorkerStatus.NOT_FOUND, "the run counts as gone")
    # not `communicate`: what the run had started may hold its output open until it is reaped
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert status() is WorkerStatus.NOT_FOUND


def test_a_process_younger_than_the_report_of_its_id_is_another() -> None:
    assert health(os.getpid(), time.time()).status is WorkerStatus.RUNNING
    assert health(os.getpid(), psutil.Process().create_time() - 60).status is WorkerStatus.NOT_FOUND
