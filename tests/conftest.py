"""What every test may use: a state directory of its own, and the whole of aftercall in processes of its own."""

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

import duckdb
import pytest
import requests
import sqlalchemy as sa

from tests.skips import pytest_addoption as pytest_addoption
from tests.skips import pytest_runtest_makereport as pytest_runtest_makereport

ROOT = Path(__file__).resolve().parent.parent
CALLS = ROOT.parent / "shared" / "calls"
MARTS = (
    "calls", "call_outcomes", "call_conversations", "call_metrics", "call_turns", "call_variables", "customers",
    "agents", "call_metrics_daily", "call_volume", "call_concurrency", "scorecard_daily", "scorecard_weekly",
    "transfer_reasons", "drop_off_points", "call_costs_daily", "call_end_reasons",
)  # fmt: skip
# the folders whose tests take minutes each: several workers end together only if these begin first
LONGEST_FIRST = ("end_to_end", "crash", "orchestration", "dbt_project")
# when an event arrived and was loaded is not the same in two installations; everything else is
ARRIVAL = ("updated_at", "last_loaded_at")
_shared_home: Path


def pytest_configure(config: pytest.Config) -> None:
    # to import the code location is to parse the dbt project into a home: one for all workers, and not the checkout's
    global _shared_home
    if not hasattr(config, "workerinput"):
        os.environ["AFTERCALL_HOME"] = tempfile.mkdtemp(prefix="aftercall-tests-")
    _shared_home = Path(os.environ["AFTERCALL_HOME"])
    # what is started in the background of a script has Ctrl-C ignored, and would hand that on to all it starts
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop("AFTERCALL_HOME"), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=rank)


def hand_on_the_parse(home: Path) -> None:
    """Spare a new home the parse of the dbt project, which is the same in each and takes as long as a pass."""
    from orchestration import build
    from orchestration.config import OrchestrationSettings

    target = OrchestrationSettings(home=home).dbt_target
    if not target.exists():
        parsed = build.ensure_manifest(OrchestrationSettings(home=_shared_home)).parent
        shutil.copytree(parsed, target / parsed.name)


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

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """`aftercall …` in the background."""
        return self.start_python("from orchestration.cli import main; main()", *arguments, **more)

    def start_python(self, program: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """`python -c program …` in the background."""
        hand_on_the_parse(self.home)
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def aftercall(self, *arguments: str, **more: str) -> str:
        """`aftercall …`, and what it printed; fails the test unless it ends with 0."""
        return _output(self.start(*arguments, **more))

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


def _output(process: subprocess.Popen[bytes]) -> str:
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
def calls_folder() -> Path:
    """Recorded traffic with the results that the rules give for it; not part of the project."""
    if not CALLS.is_dir():
        pytest.skip("needs the recorded calls in ../shared/calls")
    return CALLS


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory, calls_folder: Path) -> Installation:
    """An installation that took the recorded calls in one pass; tests may not change it."""
    made = Installation(tmp_path_factory.mktemp("processed") / "home", free_port())
    with made.receiver():
        made.aftercall("replay", str(calls_folder / "sgd.ndjson"), "--url", made.url, "--clients", "16")
    made.aftercall("run")
    return made
