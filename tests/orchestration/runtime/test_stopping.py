"""One signal to `aftercall up` or `demo` ends every process of it, in the midst of a pass; and nothing else does."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.dagster_ui import DagsterUi, wait_until
from tests.processes import AFTERCALL, FIRST_PASS, post, running

ROOT = Path(__file__).resolve().parents[3]
ENDED_WITHIN_SECONDS = 5.0


@contextmanager
def at_work(home: Path, *command: str) -> Iterator[int]:
    """The process id of `aftercall up` or `demo` with a pass under way."""
    from tests.conftest import Installation, free_port

    installation, port = Installation(home, free_port()), free_port()
    environment = installation.environment(AFTERCALL_DAGSTER_BIND=f"127.0.0.1:{port}")
    own_home = home / "demo" if command[0] == "demo" else home
    ui = DagsterUi(f"http://127.0.0.1:{port}", own_home)
    with running([*AFTERCALL, *command], ROOT, environment, home.with_suffix(".log")) as pid:
        if command == ("up",):
            wait_until(lambda: requests.get(f"{installation.url}/readyz", timeout=5).ok, "the receiver is up")
            post(installation.url, "any")
        wait_until(lambda: ui.is_at_work(FIRST_PASS), "a pass is under way")
        yield pid


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that works for this state directory, or for the demo's in it, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            of = process.environ().get("AFTERCALL_HOME", "")
            if of in (str(home), str(home / "demo")) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def names(found: list[psutil.Process]) -> str:
    lines = []
    for process in found:
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return "\n".join(lines)


def die_and_live_again(home: Path, *parts: str) -> None:
    """Kill processes by their command; all come again, and what had nothing to do with it goes on."""
    others = leaders(home, "-m receiver", "dagster._daemon", "code-server start")
    before = leaders(home, *parts)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: all(leaders(home, part).get(part, pid) != pid for part, pid in before.items()),
        "what was killed is started again",
    )
    assert leaders(home, *others) == others
    assert others.keys() == {"-m receiver", "dagster._daemon", "code-server start"}
    assert before.keys() == set(parts)


def leaders(home: Path, *parts: str) -> dict[str, int]:
    """The process that `aftercall up` itself started, by a part of its command."""
    pids: dict[str, int] = {}
    for process in processes_of(home):
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            is_leader = os.getpgid(process.pid) == process.pid
            pids |= {part: process.pid for part in parts if is_leader and part in command}
    return pids


@pytest.mark.parametrize(
    ("command", "send", "number"),
    [(["up"], os.killpg, signal.SIGINT), (["demo", "--calls", "3"], os.kill, signal.SIGTERM)],
    ids=["Ctrl-C at up", "kill demo"],
)
def test_one_signal_ends_every_process(tmp_path: Path, command: list[str], send: Any, number: int) -> None:
    home = tmp_path / "home"
    with at_work(home, *command) as pid:
        found = processes_of(home)
        for part in (
            "-m receiver",
            "-m orchestration.runtime.webserver",
            "dagster._daemon",
            "dagster api grpc",
            "spawn_main",
        ):
            assert part in names(found), f"{part} is not among\n{names(found)}"
        if command == ["up"]:
            die_and_live_again(home, "-m orchestration.cli.board", "-m orchestration.runtime.webserver")
            found = processes_of(home)
        asked = time.monotonic()
        send(pid, number)
        psutil.wait_procs(found, timeout=60)
        seconds = time.monotonic() - asked
        assert names(processes_of(home)) == ""
        assert seconds < ENDED_WITHIN_SECONDS
