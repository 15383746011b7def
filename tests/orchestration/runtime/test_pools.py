"""`aftercall run` beside a run that holds a pool: it waits for the living, not for the dead, and ends on a signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from orchestration.runtime import running
from tests.commands import Command
from tests.conftest import Installation
from tests.dagster_ui import wait_until

# a pass of one step in the pool of the warehouse, which goes on once the file `go` is there
_STEP = """
import sys, time
import dagster as dg
from pathlib import Path
from orchestration.config import OrchestrationSettings
from orchestration.defs.resources import Settings
from orchestration.runtime import in_process, instance

go = Path(sys.argv[1])

@dg.asset(pool="warehouse")
def step(settings: Settings) -> None:
    while not go.exists():
        time.sleep(0.05)

defs = dg.Definitions(
    [step], jobs=[dg.define_asset_job("small_pass", executor_def=dg.in_process_executor)],
    resources={"settings": Settings()},
)

def one_pass(instance, *_):
    import orchestration.runtime.pools
    job = defs.resolve_job_def("small_pass")
    if not job.execute_in_process(instance=instance, raise_on_error=False, tags=TAGS).success:
        raise in_process.PassFailed("small_pass failed")
"""
HOLDER = (
    _STEP
    + """
TAGS = {}
instance.prepare(OrchestrationSettings())
with dg.DagsterInstance.get() as opened:
    one_pass(opened)
"""
)
COMMAND = (
    _STEP
    + """
TAGS = in_process._LAUNCHED_BY
in_process.one_pass, in_process._is_work_left = one_pass, lambda *_: False
in_process._record_incidents = lambda *_: None
sys.argv[1:] = ["run"]
from orchestration.cli import main
main()
"""
)


@contextmanager
def started(installation: Installation, program: str, go: Path) -> Iterator[Command]:
    process = installation.start_python(program, str(go))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def runs(instance: dg.DagsterInstance, *statuses: dg.DagsterRunStatus) -> list[str]:
    found = instance.get_runs(dg.RunsFilter(job_name="small_pass", statuses=list(statuses)))
    return [run.run_id for run in found]


def holders(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.event_log_storage.get_concurrency_info("warehouse").active_run_ids)


def waiting(instance: dg.DagsterInstance) -> int:
    return int(instance.event_log_storage.get_concurrency_info("warehouse").pending_step_count)


@pytest.mark.parametrize("trace", ["its lock", "its process id"])
def test_the_pool_of_a_run_that_died_with_its_machine_is_free(
    installation: Any, dagster: dg.DagsterInstance, tmp_path: Path, trace: str
) -> None:
    never, at_once = tmp_path / "never", tmp_path
    with started(installation, HOLDER, never) as dead:
        wait_until(lambda: len(holders(dagster)) == 1, "the run holds the pool")
        dead.kill()
        dead.wait()
    (run_id,) = holders(dagster)
    if trace == "its process id":
        (installation.home / "dagster" / running.FOLDER / run_id).unlink()
    with started(installation, COMMAND, at_once) as command:
        output = command.communicate(timeout=120)[0].decode()
    assert command.returncode == 0, output
    assert runs(dagster, dg.DagsterRunStatus.FAILURE) == [run_id]
    assert not holders(dagster)
    assert running.is_alive(installation.home / "dagster", run_id) is None


def test_a_holder_that_dies_while_the_command_waits_is_noticed(
    installation: Any, dagster: dg.DagsterInstance, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    hurried = COMMAND.replace("sys.argv[1:]", "in_process.pools.LOOKS_EVERY_SECONDS = 0.5; sys.argv[1:]")
    with started(installation, HOLDER, go) as holder:
        wait_until(lambda: len(holders(dagster)) == 1, "the run holds the pool")
        with started(installation, hurried, go) as command:
            wait_until(lambda: waiting(dagster) == 1, "the command waits for the pool")
            holder.kill()
            holder.wait()
            wait_until(lambda: len(runs(dagster, dg.DagsterRunStatus.FAILURE)) == 1, "the death is noticed")
            go.touch()
            output = command.communicate(timeout=120)[0].decode()
            assert command.returncode == 0, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_living_holder_is_waited_for_without_work_and_a_signal_ends_the_wait(
    installation: Any, dagster: dg.DagsterInstance, tmp_path: Path, number: signal.Signals
) -> None:
    go = tmp_path / "go"
    with started(installation, HOLDER, go) as holder:
        wait_until(lambda: len(holders(dagster)) == 1, "the run holds the pool")
        living = holders(dagster)
        with started(installation, COMMAND, go) as command:
            wait_until(lambda: waiting(dagster) == 1, "the command waits for the pool")
            time.sleep(1)  # until it has written what it writes once
            process = psutil.Process(command.pid)
            before, since = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(4)
            used = sum(process.cpu_times()[:2]) - before
            assert used < 0.5 * (time.monotonic() - since)
            command.send_signal(number)
            output = command.communicate(timeout=30)[0].decode()
            assert command.returncode == 128 + number, output
        assert holders(dagster) == living
        assert runs(dagster, dg.DagsterRunStatus.STARTED) == list(living)
        go.touch()
        assert holder.wait(60) == 0
    assert set(runs(dagster, dg.DagsterRunStatus.SUCCESS)) == living
    assert not holders(dagster)


DEAF = """
import signal, sys, time
from orchestration.runtime import signals
signals.GRACE_SECONDS = 0.3
with signals.ended_by_signals():
    for number in signals.ENDING:
        signal.signal(number, lambda *_: None)
    print("deaf", flush=True)
    time.sleep(60)
    print("slept", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_library_that_does_not_listen_holds_nothing_up(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf\n"
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert process.stdout.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_a_run_is_alive_as_long_as_its_process(tmp_path: Path) -> None:
    """Whatever the clock says, and whoever has the process id later."""
    program = (
        "import sys, time; from pathlib import Path; from orchestration.runtime import running; "
        "running.hold(Path(sys.argv[1]), 'r'); print('held', flush=True); time.sleep(60)"
    )
    assert running.is_alive(tmp_path, "r") is None
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        os.utime(tmp_path / running.FOLDER / "r", (0, 0))
        assert running.is_alive(tmp_path, "r") is True
        running.sweep(tmp_path, {"r"})
        assert running.is_alive(tmp_path, "r") is True
    finally:
        process.kill()
        process.communicate()
    assert running.is_alive(tmp_path, "r") is False
    running.sweep(tmp_path, {"r"})
    assert running.is_alive(tmp_path, "r") is None
    running.hold(tmp_path, "r")
    assert running.is_alive(tmp_path, "r") is True
    running.release(tmp_path, "r")
    assert running.is_alive(tmp_path, "r") is None
