"""Runs that start as forks, by the real launcher in a checkout of its own, whose code the tests change.

To fork is the server's; a run that it cannot start is for Dagster's own launcher, which asks for the workspace that
these tests do not have: so they tell the two apart.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from orchestration.config import CODE_LOCATION, WORKSPACE, OrchestrationSettings
from orchestration.runtime import instance as dagster_instance
from orchestration.runtime.launcher import ForkingRunLauncher
from tests.dagster_ui import wait_until
from tests.processes import copy_checkout

LONG, SHORT = "complete_pass", "publish_marts"
Begin = Callable[..., str]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fork server finds the code."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    return folder


@pytest.fixture(scope="module")
def dagster(checkout: Path) -> Iterator[dg.DagsterInstance]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout)
        patch.setenv("PYTHONPATH", str(checkout))
        patch.setenv("AFTERCALL_HOME", str(checkout / ".aftercall"))
        patch.setenv("DAGSTER_HOME", "")
        dagster_instance.prepare(OrchestrationSettings())
        with dg.DagsterInstance.get() as made:
            yield made


@pytest.fixture(scope="module")
def launcher(dagster: dg.DagsterInstance) -> ForkingRunLauncher:
    made = dagster.run_launcher
    assert isinstance(made, ForkingRunLauncher)
    return made


@pytest.fixture
def begin(dagster: dg.DagsterInstance, launcher: ForkingRunLauncher) -> Begin:
    """Ask for a run as the queue does. Raises DagsterInvariantViolationError when it is not for the server."""
    from orchestration.definitions import defs

    def ask(job: str, module: str = CODE_LOCATION) -> str:
        pointer = ModuleCodePointer(module, "defs", None)
        run = dagster.create_run_for_job(
            defs.resolve_job_def(job),
            status=dg.DagsterRunStatus.STARTING,
            job_code_origin=JobPythonOrigin(job, RepositoryPythonOrigin("", pointer)),
        )
        launcher.launch_run(LaunchRunContext(run, workspace=None))
        return run.run_id

    return ask


def servers() -> list[psutil.Process]:
    """Those that live."""
    found = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in found if "orchestration.runtime.preload" in one.cmdline()]


def begun(begin: Begin, job: str) -> str:
    """A run that the server started, once it can."""
    started: list[str] = []

    def is_started() -> bool:
        try:
            started.append(begin(job))
        except DagsterInvariantViolationError:
            return False
        return True

    wait_until(is_started, "a run is forked")
    return started[0]


def process_of(dagster: dg.DagsterInstance, run_id: str) -> psutil.Process:
    found: list[int] = []

    def says() -> bool:
        for entry in dagster.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            assert entry.dagster_event
            pid = entry.dagster_event.engine_event_data.metadata.get("pid")
            found.extend([int(str(pid.value))] if pid else [])
        return bool(found)

    wait_until(says, "the run says which process it is")
    return psutil.Process(found[0])


def kill(dagster: dg.DagsterInstance, run_id: str) -> None:
    """Kill its process and free its pools, as run monitoring does: the next run would wait for them."""
    process = process_of(dagster, run_id)
    process.kill()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "it is dead")
    dagster.event_log_storage.free_concurrency_slots_for_run(run_id)


def test_a_run_of_other_code_is_none_of_the_servers(begin: Begin) -> None:
    with pytest.raises(DagsterInvariantViolationError):
        begin(SHORT, module="somebody.elses")
    assert servers() == []


def test_while_the_server_imports_the_default_launcher_starts_runs(begin: Begin) -> None:
    with pytest.raises(DagsterInvariantViolationError):
        begin(SHORT)
    assert len(servers()) == 1


def test_a_run_is_a_fork_of_the_server(begin: Begin, dagster: dg.DagsterInstance) -> None:
    run_id = begun(begin, LONG)
    process = process_of(dagster, run_id)
    assert [process.ppid()] == [server.pid for server in servers()]
    assert process.is_running()
    wait_until(lambda: dagster.get_run_stats(run_id).steps_succeeded > 0, "its first step is done")
    assert (
        dagster.run_launcher.check_run_worker_health(run_of(dagster, run_id)).status is WorkerStatus.RUNNING
    )


def run_of(dagster: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = dagster.get_run_by_id(run_id)
    assert run
    return run


def newest(dagster: dg.DagsterInstance) -> str:
    return dagster.get_runs(limit=1)[0].run_id


def test_a_run_that_is_terminated_ends_as_cancelled(dagster: dg.DagsterInstance) -> None:
    run_id = newest(dagster)
    process = process_of(dagster, run_id)
    assert dagster.run_launcher.terminate(run_id)
    wait_until(lambda: run_of(dagster, run_id).is_finished, "it is over")
    assert run_of(dagster, run_id).status is dg.DagsterRunStatus.CANCELED
    wait_until(lambda: not process.is_running(), "its process is buried")
    assert not dagster.run_launcher.terminate(run_id)


def test_a_run_whose_process_is_killed_is_not_healthy(begin: Begin, dagster: dg.DagsterInstance) -> None:
    run_id = begun(begin, LONG)
    kill(dagster, run_id)

    def status() -> WorkerStatus:
        return dagster.run_launcher.check_run_worker_health(run_of(dagster, run_id)).status

    wait_until(lambda: status() is WorkerStatus.NOT_FOUND, "it is missed")
    assert not dagster.run_launcher.terminate(run_id)


def test_changed_code_is_not_forked(begin: Begin, checkout: Path) -> None:
    (before,) = servers()
    with (checkout / "orchestration" / "defs" / "jobs.py").open("a") as module:
        module.write("# changed\n")
    with pytest.raises(DagsterInvariantViolationError):
        begin(SHORT)
    begun(begin, SHORT)
    assert servers() != [before]
    assert len(servers()) == 1


def test_a_changed_model_is_not_forked_either(begin: Begin, checkout: Path) -> None:
    (before,) = servers()
    with (checkout / "dbt_project" / "models" / "marts" / "calls.sql").open("a") as model:
        model.write("-- changed\n")
    with pytest.raises(DagsterInvariantViolationError):
        begin(SHORT)
    begun(begin, SHORT)
    assert servers() != [before]


def test_a_server_that_was_killed_is_replaced_at_once_and_its_run_goes_on(
    begin: Begin, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nobody waits for an answer that cannot come, though a fork of the server lives
    monkeypatch.setattr("orchestration.runtime.launcher._ANSWERS_WITHIN_SECONDS", 3600.0)
    going_on = begun(begin, LONG)
    process = process_of(dagster, going_on)
    (killed,) = servers()
    killed.kill()
    with pytest.raises(DagsterInvariantViolationError):
        begin(SHORT)
    assert process.is_running()
    kill(dagster, going_on)
    begun(begin, SHORT)
    assert servers() != [killed]


def test_without_its_launcher_the_server_ends_after_its_runs(
    begin: Begin, dagster: dg.DagsterInstance, launcher: ForkingRunLauncher
) -> None:
    run_id = begun(begin, LONG)
    process = process_of(dagster, run_id)
    launcher.dispose()
    assert process.is_running()
    kill(dagster, run_id)
    wait_until(lambda: servers() == [], "it is gone")


def test_the_code_that_is_forked_is_what_the_workspace_loads() -> None:
    (location,) = yaml.safe_load(WORKSPACE.read_text())["load_from"]
    assert location["python_module"]["module_name"] == CODE_LOCATION
