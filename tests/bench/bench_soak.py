"""What years of passes leave: bytes and files per small pass and part of the home, Dagster's history after thousands.

The first passes are real ones. Thousands would take hours, so the runs after them are copies of the last: their events
are written through Dagster's own storage, and housekeeping looks at them every hour's worth.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.record import Result, against

PASSES, RUNS = 30, 3_000
HOUR = 360
"""Runs that steady traffic makes in an hour: between two looks of housekeeping."""

_PROGRAM = """
import json, os, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
home, passes, runs, hour = Path(sys.argv[1]), *map(int, sys.argv[2:])
os.environ |= {"AFTERCALL_HOME": str(home), "AFTERCALL_IGNORE_ACTION_AGE": "1"}
import dagster as dg
from dagster._core.utils import make_new_run_id
from orchestration.config import OrchestrationSettings
from orchestration.runtime import history
from orchestration.runtime import instance as dagster_instance
from orchestration.runtime.in_process import one_pass
from orchestration.simulator.simulate import simulate
from tests.orchestration.conftest import landing_line

settings = OrchestrationSettings()
dagster_instance.prepare(settings)
from orchestration.definitions import defs, next_job

deliveries = iter(list(simulate(passes * 2 + 30, 5, datetime.now(UTC) - timedelta(hours=3), rate=0.1)))

def land(count):
    now = datetime.now(UTC)
    path = home / "landing" / f"{now:%Y-%m-%d/%H}" / f"{now:%Y%m%dT%H%M%S%f}Z-0000000a.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(landing_line(next(deliveries)) for _ in range(count)))

def parts():
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    held = {}
    for path in files:
        size, count = held.get(part := path.relative_to(home).parts[0], (0, 0))
        held[part] = size + path.stat().st_size, count + 1
    return held

with dg.DagsterInstance.get() as instance:
    for number in range(6 + passes):
        land(30 if number == 0 else 3)
        one_pass(instance, defs.get_repository_def(), next_job())
        if number == 5:
            history.prune(instance, settings)
            before = parts()
    history.prune(instance, settings)
    print(json.dumps({"before": before, "after": parts()}), flush=True)
    (pattern,) = instance.get_runs(limit=1)
    events = instance.all_logs(pattern.run_id)
    for number in range(1, runs + 1):
        run = instance.add_run(pattern._replace(run_id=make_new_run_id()))
        for event in events:
            instance.event_log_storage.store_event(event._replace(run_id=run.run_id))
        if number % hour == 0 or number == runs:
            largest = parts()["dagster"][0]
            report = history.prune(instance, settings)
            print(json.dumps({
                "runs": number, "largest": largest, "bytes": parts()["dagster"][0], "left": report.left,
                "seconds": report.seconds,
            }), flush=True)
"""


def run() -> list[Result]:
    """A home of its own, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(Path(folder) / "home"), *map(str, (PASSES, RUNS, HOUR))]
        printed = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ},
        ).stdout
    return results_of([json.loads(line) for line in printed.splitlines() if line.startswith("{")])


def results_of(lines: list[dict[str, Any]]) -> list[Result]:
    """The figures of a pass by part, then the history after each hour beside that after the first two."""
    parts, *hours = lines
    before, after = parts["before"], parts["after"]
    results = []
    for part in sorted(after):
        size, files = (new - old for new, old in zip(after[part], before.get(part, (0, 0)), strict=True))
        results.append(Result(f"a pass leaves in {part}", size / PASSES / 1_000, "kB", note=f"{files} files"))
    settled = hours[1]
    last = hours[-1]
    note = f"{last['left']} runs left; largest before housekeeping {max(hour['largest'] for hour in hours) >> 20} MiB"
    results.append(
        against(
            f"Dagster's history after {last['runs']:,} runs",
            last["bytes"] / 2**20,
            "MiB",
            settled["bytes"] / 2**20,
            note,
        )
    )
    results.append(Result("housekeeping of an hour's runs", last["seconds"], "s"))
    return results
