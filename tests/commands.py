"""`aftercall …` as a process of its own that starts at once: a fork of one that has imported everything.

A new interpreter imports Dagster, dlt and dbt for longer than most commands work. What a process prints and how it
ends, or is killed, is the same. Commands whose start is the point (`aftercall up`, `--help`) do not belong here.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.preloaded"])


class Command:
    """One process, with the part of `subprocess.Popen` that tests use; what it prints goes to files."""

    def __init__(
        self,
        program: str,
        arguments: tuple[str, ...],
        folder: Path,
        environment: dict[str, str],
        output: Path,
        errors: Path | None = None,
    ) -> None:
        errors = errors or output
        for log in (output, errors):
            log.touch()
        self.args = [program, *arguments]
        self.stdout: IO[bytes] = output.open("rb")
        self.stderr: IO[bytes] = errors.open("rb")
        # as a daemon the process ends with the test run, whatever the test forgot
        self._process: BaseProcess = _FORKS.Process(
            target=_run, args=(program, arguments, folder, environment, output, errors), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; negative for the signal that ended the process, None while the process lives."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code, or None while the process lives."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What the process printed since the last read, once it has ended; raises as `wait` does."""
        self.wait(timeout)
        return self.stdout.read(), self.stderr.read()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(
    program: str,
    arguments: tuple[str, ...],
    folder: Path,
    environment: dict[str, str],
    output: Path,
    errors: Path,
) -> None:
    """`python -c program arguments` in a fork."""
    for path, mode, number in ((Path(os.devnull), "rb", 0), (output, "ab", 1), (errors, "ab", 2)):
        with path.open(mode) as stream:
            os.dup2(stream.fileno(), number)
    # a program may have workers of its own, which multiprocessing denies to daemons
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(compile(program, "<command>", "exec"), {"__name__": "__main__"})
