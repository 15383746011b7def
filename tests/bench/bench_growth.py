"""What a long history costs: a full rebuild of it, and a pass over 1,000 new events beside that of a short one.

A pass is what one run does after its start: load, build, bring the outbox up to date, renew the published copy.
Nothing is sent: that costs what the destinations take.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.record import Result, against

SHORT, LONG = 10_000, 1_000_000
EVENTS, PASSES = 1_000, 5
AIM = 1.3
SLOWEST = 10

_PROGRAM = """
import json, resource, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import os
home, calls, events = Path(sys.argv[1]), *map(int, sys.argv[2:])
os.environ["AFTERCALL_HOME"] = str(home)
from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox
from orchestration.warehouse import dbt, due_actions, open_warehouse, publish
from orchestration.defs.assets.channels import CHANNELS
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from tests.bench.backlog import make_backlog
from tests.bench.history import make_history

settings, integrations = OrchestrationSettings(), IntegrationSettings()
models = {}

def note(event):
    node = event.get("data", {}).get("node_info", {})
    if event["info"]["name"] in ("LogModelResult", "LogTestResult", "LogSeedResult"):
        name = node["node_name"]
        models[name] = models.get(name, 0.0) + float(event["data"]["execution_time"])

def timed(parts, part, work):
    started = time.perf_counter()
    done = work()
    parts[part] = time.perf_counter() - started
    return done

said = {"events": make_history(home, calls, datetime.now(UTC) - timedelta(days=1))}
pipeline.load_outcomes(settings, integrations)
whole = {}
timed(whole, "build", lambda: dbt.build_all(
    settings, "models", ["--exclude", "test_type:unit", "--full-refresh"], note))
said["rebuild_models"] = dict(models)
timed(whole, "publish", lambda: publish.publish(settings))
said["rebuild"] = whole
said["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
outbox = open_outbox(integrations.outbox_url)
newest = datetime.now(UTC).isoformat()
for tables in due_actions.SYNC_TABLES.values():
    for table in tables:
        outbox.set_watermark(table, newest)  # what is due of the history was done long ago
said["warehouse_mib"] = Path(open_warehouse(settings).location).stat().st_size / 2**20
print(json.dumps(said), flush=True)
for number, _ in enumerate(sys.stdin):
    make_backlog(home, events, seed=number + 7)
    models.clear()
    parts = {}
    report = timed(parts, "load", lambda: pipeline.load_events(settings))
    assert report.rows["call_events"] > 0, report
    timed(parts, "build", lambda: dbt.build(settings, ["--selector", "pass", "--no-write-json"], note))
    filled = timed(parts, "outbox", lambda: [
        due_actions.fill(outbox, channel, settings, integrations) for channel in CHANNELS])
    assert sum(one.created for one in filled) > 0
    copied = timed(parts, "publish", lambda: publish.publish(settings))
    assert copied.renewed is not None
    print(json.dumps({"parts": parts, "models": models}), flush=True)
outbox.close()
"""


def run() -> list[Result]:
    """Short and long in processes of their own, pass beside pass: both meet the same moods of the machine."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _history(Path(folder) / "short", SHORT) as short,
        _history(Path(folder) / "long", LONG) as long,
    ):
        for _ in range(1 + PASSES):
            short.make_a_pass()
            long.make_a_pass()
        return results_of(short.said, long.said)


@dataclass
class _History:
    """A process with a home of its own, and what it said."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def make_a_pass(self) -> None:
        """One more; the first warms up and does not count."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.said["passes"].append(_next(self.process))


@contextmanager
def _history(home: Path, calls: int) -> Iterator[_History]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(home), str(calls), str(EVENTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AFTERCALL_IGNORE_ACTION_AGE": "1"},
    )
    try:
        yield _History(process, {**_next(process), "passes": []})
    finally:
        process.kill()
        process.communicate()


def _next(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of JSON that it prints, among others'."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            said: dict[str, Any] = json.loads(line)
            return said
    raise RuntimeError(f"a pass failed; exit code {process.wait()}")


def results_of(short: dict[str, Any], long: dict[str, Any]) -> list[Result]:
    """What the two processes said: passes beside each other, the rebuild, and the slowest models of each."""
    of_short, of_long = ([one["parts"] for one in said["passes"][1:]] for said in (short, long))
    whole = _median(sum(one.values()) for one in of_long)
    beside = _median(sum(one.values()) for one in of_short)
    note = f"load, build, outbox and published copy; baseline: on a history of {SHORT:,} calls; at most {AIM}"
    results = [against(f"pass over {EVENTS:,} events after {LONG:,} calls", whole, "s", beside, note)]
    for part in of_long[0]:
        pair = (_median(one[part] for one in passes) for passes in (of_long, of_short))
        results.append(against(f"pass: {part}", next(pair), "s", next(pair)))
    rebuild = long["rebuild"]
    return [
        *results,
        *_models_of_a_pass(short, long),
        Result(f"full rebuild of {LONG:,} calls", rebuild["build"], "s", note=f"{long['events']:,} events"),
        *_models_of_a_rebuild(long["rebuild_models"], rebuild["build"]),
        Result(
            "first published copy of them",
            rebuild["publish"],
            "s",
            note=f"warehouse {long['warehouse_mib']:,.0f} MiB",
        ),
        Result(
            "peak memory of rebuild and copy", long["peak_mib"], "MiB", note="AFTERCALL_DUCKDB_MEMORY 2GB"
        ),
    ]


def _models_of_a_pass(short: dict[str, Any], long: dict[str, Any]) -> list[Result]:
    """The slowest after either history, from the slowest after the long one; models and tests, seconds a pass."""
    of_short, of_long = _medians(short), _medians(long)
    names = sorted({*_slowest(of_short), *_slowest(of_long)}, key=lambda name: -of_long.get(name, 0.0))
    return [
        against(f"pass: model {name}", of_long.get(name, 0.0), "s", max(of_short.get(name, 0.0), 0.001))
        for name in names
    ]


def _medians(said: dict[str, Any]) -> dict[str, float]:
    models = [one["models"] for one in said["passes"][1:]]
    return {name: _median(one.get(name, 0.0) for one in models) for name in models[0]}


def _models_of_a_rebuild(models: dict[str, float], whole: float) -> list[Result]:
    return [
        Result(f"rebuild: model {name}", models[name], "s", note=f"{models[name] / whole:.0%} of the rebuild")
        for name in _slowest(models)
    ]


def _slowest(models: dict[str, float]) -> list[str]:
    return sorted(models, key=lambda name: -models[name])[:SLOWEST]


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
