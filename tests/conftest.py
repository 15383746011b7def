"""What every test may use: a state directory of its own, and the whole of aftercall in processes of its own."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
import sqlalchemy as sa
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests import homes
from tests.commands import Command
from tests.skips import pytest_addoption as pytest_addoption
from tests.skips import pytest_runtest_makereport as pytest_runtest_makereport
from tests.traffic import Traffic, recorded, simulated

ROOT = Path(__file__).resolve().parent.parent
# a file system in memory, where the tests' many small databases need not wait for a disk; homes of a run take 4 GB
MEMORY = Path("/dev/shm")
ROOM_OF_HOMES = 8 * 1024**3
AFTERCALL = "from orchestration.cli import main; main()"
MARTS = (
    "calls", "call_outcomes", "call_talk_metrics", "call_metrics", "call_turns", "call_variables", "customers",
    "agents", "call_metrics_daily", "call_volume", "call_concurrency", "scorecard_daily", "scorecard_weekly",
    "transfer_reasons", "drop_off_points", "call_costs_daily", "call_end_reasons",
)  # fmt: skip
# the folders whose tests take minutes each: several workers end together only if these begin first
LONGEST_FIRST = ("end_to_end", "crash", "orchestration", "dbt_project")
# files whose tests take long and share nothing that is made for the file alone
SPREAD = (
    "tests/crash/test_killed_passes.py",
    "tests/crash/test_killed_receiver.py",
    "tests/end_to_end/test_recorded_calls.py",
    "tests/orchestration/tools/test_reload.py",
    "tests/orchestration/runtime/test_stopping.py",
)
# when an event arrived and was loaded is not the same in two installations; everything else is
ARRIVAL = (
    "updated_at", "last_loaded_at",
    "start_received_at", "end_received_at", "analytics_received_at", "last_webhook_at",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _has_room(MEMORY):
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None
    homes.share(config)
    # dbt and Dagster make so many objects that live long that collecting takes a seventh of a build's time
    gc.set_threshold(100_000, 50, 100)
    # what is started in the background of a script has Ctrl-C ignored, and would hand that on to all it starts
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM_OF_HOMES


def pytest_unconfigure(config: pytest.Config) -> None:
    homes.remove(config)


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests go to one worker, which makes their fixtures once; those of files in `SPREAD` go to any.

    All workers but the last begin with what computes; the last one begins at the other end, with what mostly waits.
    """

    def _assign_work_unit(self, node: Any) -> None:
        if len(self.nodes) > 1 and node is self.nodes[-1]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file in SPREAD else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> tuple[bool, int]:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        place = LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)
        return item.get_closest_marker("slow") is None, place

    items.sort(key=rank)


@dataclass(frozen=True)
class Installation:
    """A state directory, and the commands that a person would give there."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **more: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERCALL_")}
        return {
            **clean,
            "AFTERCALL_HOME": str(self.home),
            "AFTERCALL_RECEIVER_BIND": f"127.0.0.1:{self.port}",
            "AFTERCALL_BOARD_BIND": f"127.0.0.1:{free_port()}",
            "AFTERCALL_IGNORE_ACTION_AGE": "1",
            **more,
        }

    def start(self, *arguments: str, **more: str) -> Command:
        """`aftercall …` in the background."""
        return self.start_python(AFTERCALL, *arguments, **more)

    def start_python(self, program: str, *arguments: str, **more: str) -> Command:
        """`python -c program …` in the background."""
        homes.hand_on_the_parse(self.home)
        return Command(program, arguments, ROOT, self.environment(**more), self._new_log())

    def _new_log(self) -> Path:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkstemp(prefix="output-", suffix=".log", dir=self.home.parent)[1])

    def built(self) -> "Installation":
        """This installation as a first pass leaves it that had nothing to load; what has landed stays to be loaded."""
        homes.copy(homes.shared("built", _run_once), self.home)
        return self

    def aftercall(self, *arguments: str, **more: str) -> str:
        """`aftercall …`, and what it printed; fails the test unless it ends with 0."""
        return _output(self.start(*arguments, **more))

    def ask(self, *arguments: str, code: int = 0, **more: str) -> str:
        """What `aftercall …` prints for a program to read; what it prints as errors where it has to end with `code`."""
        if self.home.exists():
            homes.hand_on_the_parse(self.home)
        environment = self.environment(COLUMNS="160", **more)
        process = Command(AFTERCALL, arguments, ROOT, environment, self._new_log(), self._new_log())
        output, errors = (stream.decode() for stream in process.communicate(timeout=900))
        assert process.returncode == code, (output + errors)[-5_000:]
        return errors if code else output

    def python(self, program: str, *arguments: str, **more: str) -> str:
        """`python -c program …`, and what it printed; fails the test unless it ends with 0."""
        return _output(self.start_python(program, *arguments, **more))

    def mart(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query against the published copy."""
        with duckdb.connect(str(self.home / "published" / "marts.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def warehouse(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query against the warehouse, which nobody else may have open."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def outbox(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query against the outbox."""
        engine = sa.create_engine(f"sqlite:///{self.home / 'outbox.sqlite'}")
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(sa.text(query))]
        engine.dispose()
        return rows

    def marts(self, without: tuple[str, ...] = ARRIVAL) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every mart that calls alone decide, ordered; `without` some columns."""
        found = {}
        for mart in MARTS:
            columns = [str(row[0]) for row in self.mart(f"describe {mart}") if row[0] not in without]
            found[mart] = self.mart(f"select {', '.join(columns)} from {mart} order by all")
        return found

    def receiver(self) -> "Receiver":
        return Receiver(self)


def _output(process: Command) -> str:
    output = process.communicate(timeout=900)[0].decode()
    assert process.returncode == 0, output[-5_000:]
    return output


@dataclass
class Receiver:
    """A running receiver; use as a context manager."""

    of: Installation
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Receiver":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "receiver"],
            cwd=ROOT,
            env=self.of.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(f"{self.of.url}/readyz", timeout=1).raise_for_status()
                return self
            except requests.RequestException:
                assert time.monotonic() < deadline, "the receiver did not start"
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """An empty one."""
    return Installation(tmp_path / "home", free_port())


@pytest.fixture(scope="session")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    """A thousand recorded calls where they are at hand, three hundred simulated ones anywhere else."""
    return recorded() or simulated(tmp_path_factory.mktemp("traffic"))


def _run_once(home: Path) -> None:
    Installation(home, free_port()).aftercall("run")


@pytest.fixture(scope="session")
def processed(traffic: Traffic) -> Installation:
    """An installation that took the traffic in one pass; tests may not change it."""

    def take(home: Path) -> None:
        taking = Installation(home, free_port()).built()
        with taking.receiver():
            taking.aftercall("replay", str(traffic.file), "--url", taking.url, "--clients", "16")
        taking.aftercall("run")

    return Installation(homes.shared("processed", take), free_port())
