"""The children of a command live as long as it does, and end with it and with their own, by whatever signal."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestration.tools import children as module
from orchestration.tools import processes
from orchestration.tools.children import Children
from tests.conftest import ROOT, free_port

# like a command that was started with `&` in a script: there, shells have Ctrl-C ignored
COMMAND = """
import signal, sys, time
from pathlib import Path
from orchestration.tools.children import Children
signal.signal(signal.SIGINT, signal.SIG_IGN)
# whatever started the tests may have been told to outlive its terminal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
try:
    with Children({}, Path("/")) as children:
        # one that ends when asked, with a grandchild that does not
        children.start("shell", ["/bin/sh", "-c", "(trap '' TERM; sleep 60) & echo $!; wait"])
        children.start("sleep", ["/bin/sleep", "60"])
        print("started\\n", end="", flush=True)  # at one go: the shell writes its own line beside it
        time.sleep(60)
except KeyboardInterrupt:
    print("ended", flush=True)
"""
# dies at once, again and again; its grandchild ignores the request to end
DYING = """
import sys, time
from pathlib import Path
from orchestration.tools.children import Children
try:
    with Children({}, Path("/")) as children:
        children.start("calm", ["/bin/sleep", "60"], ends_last=True)
        children.start("dying", ["/bin/sh", "-c", "(trap '' TERM; sleep 60) & exit 3"])
        while True:
            children.tend(lambda text: print(text, flush=True))
            time.sleep(0.02)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A test that uses `Children` in this process leaves its signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_that_asks_to_end_ends_grandchildren_too(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", COMMAND], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline(), process.stdout.readline()]
    assert "started\n" in said
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3
    process.send_signal(number)
    process.send_signal(number)
    assert process.stdout.read() == "ended\n"
    assert process.wait(20) == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_command_under_nohup_outlives_its_terminal() -> None:
    program = COMMAND.replace("signal.SIGHUP, signal.SIG_DFL", "signal.SIGHUP, signal.SIG_IGN")
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "started\n" in [process.stdout.readline(), process.stdout.readline()]
    os.kill(process.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.terminate()
    assert process.stdout.read() == "ended\n"
    assert process.wait(20) == 0


@pytest.mark.parametrize("lines", [1, 2])
def test_a_signal_ends_everything_while_a_child_is_dead_and_while_one_is_started(lines: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", DYING], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    assert said[0] == "dying ended with exit code 3; aftercall starts it again in 1 s\n"
    found = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.stdout.read().endswith("ended\n")
    assert process.wait(20) == 0
    assert psutil.wait_procs(found, timeout=5)[1] == []


def tend_until(children: Children, holds: Callable[[], object], said: list[str]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        children.tend(said.append)
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses a hundred times as short; their proportions stay."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)


@pytest.mark.usefixtures("quick")
def test_a_child_that_dies_is_started_again_after_a_growing_pause_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    with Children({}, Path("/"), tmp_path / "logs") as children:
        children.start("receiver", ["/bin/sleep", "60"], ends_last=True)
        # the grandchild of each round ignores the request to end
        children.start("board", ["/bin/sh", "-c", "(trap '' TERM; exec sleep 60) & echo $!; exit 7"])
        receiver = children.running["receiver"].pid
        tend_until(children, lambda: len([line for line in said if "exit code 7" in line]) == 3, said)
        assert (children.running["receiver"].pid, children.running["receiver"].poll()) == (receiver, None)
        grandchildren = [int(pid) for pid in (tmp_path / "logs" / "board.log").read_text().split()]
    log = tmp_path / "logs" / "board.log"
    ended = [
        f"board ended with exit code 7; aftercall starts it again in {pause:g} s; see {log}"
        for pause in (0.01, 0.02, 0.04)
    ]
    assert said == [ended[0], "board is started again", ended[1], "board is started again", ended[2]]
    assert len(grandchildren) == 3
    for pid in grandchildren:
        with suppress(psutil.NoSuchProcess):
            assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.usefixtures("quick")
def test_a_killed_child_is_started_again_and_one_that_lived_long_without_a_longer_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    with Children({}, Path("/")) as children:
        children.start("receiver", ["/bin/sleep", "60"], longest_pause_seconds=0.02, ends_last=True)
        for round_number in range(4):
            before = children.running["receiver"].pid
            monkeypatch.setattr(module, "CALM_SECONDS", 0.0 if round_number == 3 else 60.0)
            os.kill(before, signal.SIGKILL)
            children.running["receiver"].wait()
            tend_until(children, lambda pid=before: children.running["receiver"].pid != pid, said)  # type: ignore[misc]
    pauses = [line.rpartition(" in ")[2] for line in said if "exit code -9" in line]
    assert pauses == ["0.01 s", "0.02 s", "0.02 s", "0.01 s"]


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_started_again_is_tried_later_and_stops_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "program"
    said: list[str] = []
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with Children({}, Path("/")) as children:
        children.start("receiver", ["/bin/sleep", "60"], ends_last=True)
        children.start("board", [str(program)])
        children.running["board"].wait()
        program.unlink()
        tend_until(children, lambda: any("cannot be started" in line for line in said), said)
        program.write_text("#!/bin/sh\nexec sleep 60\n")
        program.chmod(0o755)
        tend_until(children, lambda: said[-1] == "board is started again", said)
        assert children.running["receiver"].poll() is None


def test_the_receiver_is_asked_to_end_when_the_others_are_gone(tmp_path: Path) -> None:
    def program(name: str, seconds: float) -> list[str]:
        end = f"sleep {seconds}; echo {name} >> {tmp_path}/order; exit"
        wait = "while :; do sleep 0.05; done"
        return ["/bin/sh", "-c", f"trap '{end}' TERM; touch {tmp_path}/{name}; {wait}"]

    with Children({}, Path("/")) as children:
        children.start("receiver", program("receiver", 0), ends_last=True)
        children.start("board", program("board", 0.3))
        tend_until(children, lambda: {"receiver", "board"} <= {path.name for path in tmp_path.iterdir()}, [])
    assert (tmp_path / "order").read_text().split() == ["board", "receiver"]


@pytest.mark.parametrize("part", ["RECEIVER", "BOARD", "DAGSTER"])
def test_up_starts_nothing_where_an_address_is_taken_or_open_to_others(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path))
    for name in ("RECEIVER", "BOARD", "DAGSTER"):
        monkeypatch.setenv(f"AFTERCALL_{name}_BIND", f"127.0.0.1:{free_port()}")
    processes.refuse_to_start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv(f"AFTERCALL_{part}_BIND", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SystemExit, match=f"AFTERCALL_{part}_BIND"):
            processes.refuse_to_start()
    monkeypatch.setenv(f"AFTERCALL_{part}_BIND", f"0.0.0.0:{free_port()}")
    if part == "RECEIVER":  # its sources ask for their secrets
        processes.refuse_to_start()
    else:
        with pytest.raises(SystemExit, match=f"AFTERCALL_{part}_PASSWORD"):
            processes.refuse_to_start()
