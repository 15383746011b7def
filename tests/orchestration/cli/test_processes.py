"""The children of a command end with it, by whatever signal, and their own children too."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.conftest import ROOT

# like a command that was started with `&` in a script: there, shells have Ctrl-C ignored
COMMAND = """
import signal, sys, time
from pathlib import Path
from orchestration.cli.processes import Children
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
