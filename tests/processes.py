"""aftercall in processes of its own, as a person starts it: a checkout, its receiver, and `dagster dev`."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.dagster_ui import DagsterUi, wait_until

AFTERCALL = [sys.executable, "-c", "from orchestration.cli import main; main()"]
PASS = "after_call_pass"
FIRST_PASS = "complete_pass"
_ROOT = Path(__file__).resolve().parents[1]
_CHECKOUT = ("receiver", "integrations", "orchestration", "dbt_project", "pyproject.toml", "workspace.yaml")
LOUD = {"WARNING", "ERROR", "CRITICAL"}


def post(receiver: str, call_id: str) -> None:
    """The end of a call that asked for a human: due are contact, note, task, ticket and a Slack message."""
    ended = {
        "event": "call.end",
        "timestamp": datetime.now(UTC).isoformat(),
        "agent_id": "agent",
        "call_id": call_id,
        "duration_seconds": 42.0,
        "disposition": "transferred",
        "transcript": [{"speaker": "user", "text": "A human, please."}],
        "variables": {"user_number": "+14155550142"},
    }
    answer = requests.post(f"{receiver}/webhooks/atoms", json=ended, timeout=20)
    assert answer.status_code == 200, answer.text


@dataclass(frozen=True)
class Site:
    """A checkout with its state directory, a receiver, and Dagster as its own command starts it."""

    checkout: Path
    installation: Any
    ui: DagsterUi

    def post(self, call_id: str) -> None:
        post(self.installation.url, call_id)

    def statuses(self, call_id: str) -> dict[str, str]:
        """Status of each action that is the call's own, by kind; the contact belongs to every call."""
        of_call = f"kind <> 'contact' and call_id = '{call_id}'"
        return dict(self.installation.outbox(f"select kind, status from actions where {of_call}"))

    def is_all_done(self, call_id: str) -> bool:
        """Whether every action of the call was sent, each in one attempt, and the call is published."""
        kinds = {"note": "sent", "task": "sent", "ticket": "sent", "transfer_requested": "sent"}
        twice = self.installation.outbox(
            "select action_key from attempts join actions using (action_key) "
            "where outcome = 'sent' and kind <> 'contact' group by 1 having count(*) > 1"
        )
        published = self.installation.mart(f"select count(*) from calls where call_id = '{call_id}'")
        return self.statuses(call_id) == kinds and twice == [] and published == [(1,)]

    def loud_messages(self, run: dict[str, Any]) -> list[str]:
        """What the UI shows of a run in yellow or red."""
        return [event["message"] for event in self.ui.events(run["runId"]) if event.get("level") in LOUD]


def copy_checkout(folder: Path) -> None:
    """What a clone holds that runs need, and no state."""
    state = shutil.ignore_patterns("__pycache__", "target", "logs", ".user.yml")
    for name in _CHECKOUT:
        if (_ROOT / name).is_dir():
            shutil.copytree(_ROOT / name, folder / name, ignore=state)
        else:
            shutil.copy(_ROOT / name, folder / name)


def clean_environment(**more: str) -> dict[str, str]:
    prefixes = ("AFTERCALL_", "DAGSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | more


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str], log: Path) -> Iterator[int]:
    """A process group of its own, named by its leader; killed at the end if it still lives."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment_of(checkout: Path) -> dict[str, str]:
    """No setting at all: they come from the checkout's `.env`, the code from the checkout."""
    # automatic retries are looked for every 5 s otherwise
    return clean_environment(
        PYTHONPATH=str(checkout), DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS="1", DO_NOT_TRACK="1"
    )


@contextmanager
def dagster_dev(checkout: Path, port: int) -> Iterator[int]:
    """As the README has it, on a port of its own."""
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-w",
        "workspace.yaml",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with running(command, checkout, environment_of(checkout), checkout / "dagster.log") as group:
        ui = DagsterUi(f"http://127.0.0.1:{port}")
        wait_until(lambda: ui.locations()[0]["loadStatus"] == "LOADED", "the code location is loaded")
        yield group
