"""Child processes of a command: started in groups of their own, ended together within seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from dotenv import dotenv_values

from integrations.board.config import BoardSettings
from orchestration.config import WORKSPACE, OrchestrationSettings
from receiver.config import ENV_FILE, ReceiverSettings, split_bind

GRACE_SECONDS = 2.0
# Ctrl-C, `kill` and a closed terminal
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessDied(Exception):
    """A child ended by itself; the message has its name, exit code and log."""


@dataclass
class Children:
    """The processes of one `up` or `demo`; use as a context manager, in the main thread.

    Within it every signal that asks to end raises KeyboardInterrupt, also in a script's background, where shells
    have Ctrl-C ignored. While the processes are being ended, an impatient second one does nothing.
    """

    environment: Mapping[str, str]
    folder: Path
    log_folder: Path | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _before: dict[signal.Signals, Any] = field(default_factory=dict)
    _is_asked_to_end: bool = False
    _is_uninterruptible: bool = False

    def start(self, name: str, command: list[str]) -> None:
        """Start one; its output goes to `<log_folder>/<name>.log`, or to this terminal."""
        output = None
        if self.log_folder is not None:
            self.log_folder.mkdir(parents=True, exist_ok=True)
            output = (self.log_folder / f"{name}.log").open("ab")
        # a signal now would leave a process that is not one of `running`, and that nobody ends
        self._is_uninterruptible = True
        self.running[name] = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            cwd=self.folder,
            env=dict(self.environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        self._is_uninterruptible = False
        if self._is_asked_to_end:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise ProcessDied if one has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                where = f"; see {self.log_folder / f'{name}.log'}" if self.log_folder else ""
                raise ProcessDied(f"{name} ended with exit code {process.returncode}{where}")

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_seconds: float) -> None:
        """Wait for something while the children live. Raises TimeoutError or ProcessDied."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} was not ready within {timeout_seconds:.0f} s")
            time.sleep(0.1)

    def __enter__(self) -> "Children":
        for number in _ENDING:
            # `nohup` means that a closed terminal is no reason to end
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        """Ask every group to end, then end what is left."""
        self._is_uninterruptible = True
        for process in self.running.values():
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(map(_has_members, self.running.values())) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in self.running.values():
            _signal(process, signal.SIGKILL)
            process.wait()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        # raised once: a second one, on the way from the first to `__exit__`, would leave the processes running
        is_first, self._is_asked_to_end = not self._is_asked_to_end, True
        if is_first and not self._is_uninterruptible:
            raise KeyboardInterrupt


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the whole group, since Dagster's runs are grandchildren."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _has_members(process: subprocess.Popen[bytes]) -> bool:
    """Whether anything of the group lives, be it only grandchildren."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def receiver_process() -> list[str]:
    """The command of the receiver."""
    return [sys.executable, "-m", "receiver"]


def board_process() -> list[str]:
    """The command of the live board."""
    return [sys.executable, "-m", "integrations.board"]


def dagster_process(settings: OrchestrationSettings) -> list[str]:
    """The command of Dagster: web server, daemon and one code server for both."""
    host, port = split_bind(settings.dagster_bind)
    # `dg dev`, which the warning asks for, is a package of its own and starts the same processes
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    dagster = [sys.executable, *quiet, "-m", "dagster", "dev", "-w", str(WORKSPACE)]
    return [*dagster, "-h", host, "-p", str(port), "--log-level", "warning"]


def answers(url: str) -> bool:
    """Whether something answers 200 there within two seconds."""
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def addresses(settings: OrchestrationSettings) -> dict[str, str]:
    """Where to look, by name."""
    return {
        "receiver": f"http://{ReceiverSettings().receiver_bind}",
        "board": f"http://{BoardSettings().board_bind}",
        "dagster": f"http://{settings.dagster_bind}",
    }


def environment(settings: OrchestrationSettings) -> dict[str, str]:
    """The environment of this process over that of `.env`, with the state directory made absolute.

    The children run in the state directory and find no `.env` there: Dagster lets a `DAGSTER_HOME` in that file win
    over the environment, which would put the runs of two homes into one instance.
    """
    return {
        **{name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None},
        **os.environ,
        "AFTERCALL_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster),
        "PYTHONUNBUFFERED": "1",
    }
