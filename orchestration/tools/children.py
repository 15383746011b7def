"""Child processes of a command: restarted while the command lives, ended together within seconds.

Each has a process group, so that its own children end with it. `processes` has the programs.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

GRACE_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
CALM_SECONDS = 60.0
"""After so long a life a process is restarted with the first pause again."""
# Ctrl-C, `kill` and a closed terminal
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], object]


class ProcessDied(Exception):
    """A child ended by itself; the message has its name, exit code and log."""


@dataclass
class _Child:
    """One child; `due_at` (monotonic clock) is set while it is dead and waits for its next start."""

    command: list[str]
    log: str
    longest_pause_seconds: float
    ends_last: bool
    started_at: float = 0.0
    deaths: int = 0
    due_at: float | None = None

    def next_pause(self, now: float) -> float:
        """Seconds until the next start, twice as many as before."""
        if now - self.started_at > CALM_SECONDS:
            self.deaths = 0
        pause = min(self.longest_pause_seconds, FIRST_PAUSE_SECONDS * 2.0 ** min(self.deaths, 30))
        self.deaths += 1
        return pause


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
    _children: dict[str, _Child] = field(default_factory=dict)
    _before: dict[signal.Signals, Any] = field(default_factory=dict)
    _is_asked_to_end: bool = False
    _is_uninterruptible: bool = False

    def start(
        self,
        name: str,
        command: list[str],
        log: str = "",
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
        ends_last: bool = False,
    ) -> None:
        """Start one; its output goes to `<log_folder>/<log or name>.log`, or to this terminal.

        `longest_pause_seconds`: how long `tend` leaves it dead at most. `ends_last`: at the end it is asked only when
        the others are gone.
        """
        self._children[name] = _Child(command, log or name, longest_pause_seconds, ends_last)
        self._launch(name)

    def check(self) -> None:
        """Raise ProcessDied if one has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise ProcessDied(f"{name} ended with exit code {process.returncode}{self._see_log(name)}")

    def tend(self, say: Say) -> None:
        """Restart the children that ended, each after a growing pause; `say` gets a sentence about each."""
        for name, child in self._children.items():
            now = time.monotonic()
            if child.due_at is not None:
                if now >= child.due_at:
                    self._try_again(name, child, say)
                continue
            process = self.running[name]
            if process.poll() is None:
                continue
            # its own children would hold its port, or work beside the next one
            self._end([process])
            pause = child.next_pause(now)
            child.due_at = time.monotonic() + pause
            how = f"ended with exit code {process.returncode}"
            say(f"{name} {how}; aftercall starts it again in {pause:g} s{self._see_log(name)}")

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
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Ask every group to end, then kill the rest; children that end last are asked after all others."""
        self._is_uninterruptible = True
        for is_last in (False, True):
            self._end(
                process for name, process in self.running.items() if self._children[name].ends_last is is_last
            )
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _launch(self, name: str) -> None:
        """Start a child. Raises OSError if the process or its log cannot be created."""
        child = self._children[name]
        # a signal now would leave a process outside `running`, which nobody ends
        self._is_uninterruptible = True
        try:
            self.running[name] = self._spawn(child)
        finally:
            self._is_uninterruptible = False
        child.started_at, child.due_at = time.monotonic(), None
        if self._is_asked_to_end:
            raise KeyboardInterrupt

    def _spawn(self, child: _Child) -> subprocess.Popen[bytes]:
        log = None
        if self.log_folder is not None:
            self.log_folder.mkdir(parents=True, exist_ok=True)
            log = (self.log_folder / f"{child.log}.log").open("ab")
        try:
            return subprocess.Popen(  # noqa: S603 - our own programs
                child.command,
                cwd=self.folder,
                env=dict(self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()

    def _try_again(self, name: str, child: _Child, say: Say) -> None:
        try:
            self._launch(name)
        except OSError as error:
            pause = child.next_pause(time.monotonic())
            child.due_at = time.monotonic() + pause
            say(f"{name} cannot be started ({error}); aftercall tries again in {pause:g} s")
        else:
            say(f"{name} is started again")

    def _see_log(self, name: str) -> str:
        return f"; see {self.log_folder / f'{self._children[name].log}.log'}" if self.log_folder else ""

    @staticmethod
    def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
        """Ask groups to end, and kill them after the grace period."""
        groups = list(processes)
        for process in groups:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(map(_has_members, groups)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in groups:
            _signal(process, signal.SIGKILL)
        for process in groups:
            # one that hangs in a system call ends when the call does
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # raised once: a second one, on the way from the first to `__exit__`, would leave the processes running
        is_first, self._is_asked_to_end = not self._is_asked_to_end, True
        if is_first and not self._is_uninterruptible:
            raise KeyboardInterrupt


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send to the whole group, since Dagster's runs are grandchildren."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _has_members(process: subprocess.Popen[bytes]) -> bool:
    """True if any process of the group lives, even if only grandchildren do."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
