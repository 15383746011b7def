"""The load of a backlog against what DuckDB alone takes to read and insert the same files."""

import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

from tests.bench.backlog import make_backlog
from tests.bench.record import Result, against

EVENTS = 300_000
RUNS = 3

_ALONE = """
import duckdb, sys, time
from pathlib import Path
home = Path(sys.argv[1])
files = sorted(str(path) for path in (home / "landing").rglob("*.ndjson"))
(home / "alone.duckdb").unlink(missing_ok=True)
started = time.perf_counter()
connection = duckdb.connect(str(home / "alone.duckdb"))
connection.execute(
    "create table call_events as select * from read_json($files, format='newline_delimited', columns={"
    "event_id: 'VARCHAR', source: 'VARCHAR', event_type: 'VARCHAR', call_id: 'VARCHAR', occurred_at: 'TIMESTAMP',"
    " received_at: 'TIMESTAMP', customer_phone: 'VARCHAR', direction: 'VARCHAR', payload: 'JSON'})",
    {"files": files},
)
connection.close()
print(time.perf_counter() - started)
"""
_LOAD = """
import os, resource, shutil, sys, time
from pathlib import Path
home = Path(sys.argv[1])
os.environ["AFTERCALL_HOME"] = str(home)
shutil.rmtree(home / "dlt", ignore_errors=True)
(home / "warehouse.duckdb").unlink(missing_ok=True)
from orchestration.config import OrchestrationSettings
from orchestration.load import events, pipeline
settings = OrchestrationSettings()
started = time.perf_counter()
report = pipeline.load_events(settings)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
assert report.rows["call_events"] == int(sys.argv[2]), report
"""


def run() -> list[Result]:
    """Both in turn, each in a process of its own; the pair with the median ratio counts, and the largest peak."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_backlog(home, EVENTS)
        distinct = _distinct_events(home)
        pairs = [(_measured(_ALONE, home)[0], _measured(_LOAD, home, distinct)) for _ in range(RUNS)]
    alone, (load, _) = sorted(pairs, key=lambda pair: pair[1][0] / pair[0])[RUNS // 2]
    peak = max(peak for _, (_, peak) in pairs)
    note = "import of dlt not counted; baseline: DuckDB reads and inserts the same files; aim at most 2.5"
    return [
        against(f"load of {EVENTS:,} waiting events", load, "s", alone, note),
        against("peak memory of the load", peak, "MiB", 1024.0, "baseline: 1 GiB, the aim"),
    ]


def _distinct_events(home: Path) -> int:
    """Events in the landing store, each counted once: traffic holds second deliveries."""
    files = [str(path) for path in (home / "landing").rglob("*.ndjson")]
    found = duckdb.execute(
        "select count(distinct (source, call_id, event_id)) from read_json($files, format='newline_delimited',"
        " columns={source: 'VARCHAR', call_id: 'VARCHAR', event_id: 'VARCHAR'})",
        {"files": files},
    ).fetchone()
    assert found is not None
    return int(found[0])


def _measured(code: str, home: Path, *arguments: object) -> list[float]:
    command = [sys.executable, "-c", code, str(home), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(figure) for figure in done.stdout.splitlines()[-1].split()]
