"""`aftercall up` and `aftercall receiver`: start the long-running processes."""

import time
from contextlib import suppress

import click

from orchestration.config import DagsterSettings, OrchestrationSettings
from orchestration.runtime import clock, instance
from orchestration.tools import processes
from orchestration.tools.children import Children
from receiver import private
from receiver.serve import serve

_LOOKS_SECONDS = 0.5


@click.command("up")
def up_command() -> None:
    """Start the receiver, the live board and Dagster; Ctrl-C ends all.

    They listen on 127.0.0.1 at the ports 8080, 8081 and 3000, unless AFTERCALL_RECEIVER_BIND, AFTERCALL_BOARD_BIND and
    AFTERCALL_DAGSTER_BIND say where. If a process ends by itself, aftercall starts it again.
    """
    settings = OrchestrationSettings()
    processes.refuse_to_start()
    private.prepare(settings.home)
    instance.prepare(settings)
    try:
        with Children(processes.environment(settings), settings.home, settings.home / "logs") as children:
            processes.start_receiver(children)
            children.start("board", processes.board_process())
            processes.start_dagster(children, DagsterSettings())
            for name, url in (processes.addresses() | processes.pages()).items():
                _say(f"{name:<10}{url}")
            _say(f"logs      {settings.home / 'logs'}\nCtrl-C ends everything.")
            watch = clock.ClockWatch()
            while True:
                children.tend(_say)
                if watch.was_set_back():
                    clock.bring_back_apart(processes.environment(settings))
                time.sleep(_LOOKS_SECONDS)
    except KeyboardInterrupt:
        _say("stopped")


@click.command("receiver")
def receiver_command() -> None:
    """Run the receiver alone, in the foreground; it listens where AFTERCALL_RECEIVER_BIND says."""
    serve()


def _say(text: str) -> None:
    """Print a line; a terminal that is gone, or a reader that has ended, is no reason to stop the receiver."""
    with suppress(OSError):
        click.echo(text)
