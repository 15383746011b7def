"""From the acknowledgement of a webhook to the action that follows, with every process up, at rest, after some history.

Calls that ask for a human are posted one after another, each when everything is idle again; the parts of the
wait come from Dagster's own record of the pass. Load under traffic does not belong here.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import orjson
import requests

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, open_outbox
from orchestration.config import DagsterSettings, OrchestrationSettings
from orchestration.runtime import instance as dagster_instance
from orchestration.simulator.bodies import stamp
from orchestration.simulator.delivery import JSON_HEADERS
from orchestration.tools import processes
from orchestration.tools.children import Children
from tests.bench.history import make_history
from tests.bench.record import Result, against

CALLS = 8
HISTORY = 1_000
"""Calls that the warehouse holds already."""
AIM_SECONDS = 20.0
PATIENCE_SECONDS = 180.0
IDLE_SECONDS = 3.0
PARTS = ("sensor wait", "run start", "load", "build", "dispatch")
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_NOTES = {
    "sensor wait": "acknowledged until a pass is asked for",
    "run start": "until its first step: queued, planned, forked",
    "load": "until raw has the event",
    "build": "until the models are built and tested",
    "dispatch": "until the message is sent, with the channels that come before Slack",
}
_TO_TEN = (
    "to get to 10 s: a store of Dagster's events that keeps its database open (2 s of the 230 events of a pass), and "
    "less of dbt than eight tables a pass (4 s)"
)


@dataclass(frozen=True)
class _Up:
    """Everything that `aftercall up` starts, and how to look into it."""

    children: Children
    receiver: str
    outbox: Outbox
    dagster: dg.DagsterInstance


def run() -> list[Result]:
    """The median call, its parts, and the slowest; a first call that warms up does not count."""
    with tempfile.TemporaryDirectory() as folder, _everything_up(Path(folder)) as up:
        _one_call(up)
        measured = [_one_call(up) for _ in range(CALLS)]
    totals = [sum(parts) for parts in measured]
    name = "acknowledged to Slack"
    median = statistics.median(totals)
    note = f"with {HISTORY:,} calls in the warehouse; baseline: the aim; {_TO_TEN}"
    return [
        against(f"{name}, median of {CALLS}", median, "s", AIM_SECONDS, note),
        Result(f"{name}, slowest", max(totals), "s"),
        *(
            Result(f"{name}: {part}", statistics.median(column), "s", note=_NOTES[part])
            for part, column in zip(PARTS, zip(*measured, strict=True), strict=True)
        ),
    ]


@contextmanager
def _everything_up(home: Path) -> Iterator[_Up]:
    binds = {
        "AFTERCALL_HOME": str(home),
        "AFTERCALL_RECEIVER_BIND": f"127.0.0.1:{_free_port()}",
        "AFTERCALL_BOARD_BIND": f"127.0.0.1:{_free_port()}",
        "AFTERCALL_DAGSTER_BIND": f"127.0.0.1:{_free_port()}",
    }
    # elsewhere than the checkout, whose `.env` may hold secrets, and a DAGSTER_HOME that Dagster would prefer
    with patch.dict(os.environ, binds), chdir(home):
        settings = OrchestrationSettings()
        dagster_instance.prepare(settings)
        urls = processes.addresses()
        environment = processes.environment(settings)
        _make_history(settings, environment)
        with Children(environment, home, home / "logs") as children:
            processes.start_receiver(children)
            children.start("board", processes.board_process())
            processes.start_dagster(children, DagsterSettings())
            children.wait_until(lambda: processes.answers(f"{urls['receiver']}/readyz"), "receiver", 60)
            children.wait_until(lambda: processes.answers(f"{urls['board']}/healthz"), "the board", 60)
            children.wait_until(lambda: processes.answers(f"{urls['dagster']}/server_info"), "Dagster", 120)
            with open_outbox(IntegrationSettings().outbox_url) as outbox, dg.DagsterInstance.get() as dagster:
                yield _Up(children, urls["receiver"], outbox, dagster)


def _make_history(settings: OrchestrationSettings, environment: dict[str, str]) -> None:
    """Calls up to yesterday, in the marts and the outbox by a pass."""
    make_history(settings.home, HISTORY, datetime.now(UTC) - timedelta(days=1))
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "run"]
    subprocess.run(command, cwd=settings.home, env=environment, check=True, stdout=subprocess.DEVNULL)


def _one_call(up: _Up) -> list[float]:
    """Post one call once everything is idle, and wait for its message: the seconds of `PARTS`."""
    _wait_until_idle(up)
    call_id = f"bench-{uuid.uuid4().hex}"
    answer = requests.post(
        f"{up.receiver}/webhooks/atoms", data=_ended(call_id), headers=JSON_HEADERS, timeout=30
    )
    acknowledged = datetime.now(UTC)
    answer.raise_for_status()

    def sent() -> list[datetime]:
        found = up.outbox.actions(kind="transfer_requested", call_id=call_id)
        return [action.sent_at for action in found if action.sent_at is not None]

    up.children.wait_until(lambda: bool(sent()), "the Slack message", PATIENCE_SECONDS)
    _wait_until_idle(up)
    return _parts(up.dagster, acknowledged, sent()[0])


def _ended(call_id: str) -> bytes:
    return orjson.dumps(
        {
            "event": "call.end",
            "timestamp": stamp(datetime.now(UTC)),
            "agent_id": "agent_bench",
            "call_id": call_id,
            "duration_seconds": 42.0,
            "disposition": "transferred",
            "transcript": [{"speaker": "user", "text": "Please put me through to a human."}],
            "variables": {"user_number": "+14155550142"},
        }
    )


def _parts(dagster: dg.DagsterInstance, acknowledged: datetime, sent: datetime) -> list[float]:
    """The seconds between the marks of the pass that sent it; they add up to the whole wait."""
    records = dagster.get_run_records(dg.RunsFilter(job_name="after_call_pass"), limit=20)
    record = next(entry for entry in records if entry.start_time and entry.start_time < sent.timestamp())
    steps = {step.step_key: step for step in dagster.get_run_step_stats(record.dagster_run.run_id)}
    marks = [
        acknowledged.timestamp(),
        record.create_timestamp.timestamp(),
        min(step.start_time for step in steps.values() if step.start_time),
        steps["load_events"].end_time or 0.0,
        steps["models"].end_time or 0.0,
        sent.timestamp(),
    ]
    return [later - earlier for earlier, later in pairwise(marks)]


def _wait_until_idle(up: _Up) -> None:
    """Until no run has been under way for some seconds."""
    quiet_since: float | None = None

    def is_idle() -> bool:
        nonlocal quiet_since
        if up.dagster.get_runs(dg.RunsFilter(statuses=_UNDER_WAY), limit=1):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        return quiet_since is not None and time.monotonic() - quiet_since > IDLE_SECONDS

    up.children.wait_until(is_idle, "the end of every run", PATIENCE_SECONDS)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
