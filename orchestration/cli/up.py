"""`aftercall up` and `aftercall receiver`: start the long-running processes."""

import time

import click

from orchestration import clock, instance
from orchestration.cli import processes
from orchestration.config import OrchestrationSettings
from receiver.serve import serve


@click.command("up")
def up_command() -> None:
    """Start the receiver, the live board and Dagster; one Ctrl-C ends all.

    They listen on 127.0.0.1 at the ports 8080, 8081 and 3000, unless AFTERCALL_RECEIVER_BIND, AFTERCALL_BOARD_BIND and
    AFTERCALL_DAGSTER_BIND say where.
    """
    settings = OrchestrationSettings()
    instance.prepare(settings)
    try:
        with processes.Children(
            processes.environment(settings), settings.home, settings.home / "logs"
        ) as children:
            children.start("receiver", processes.receiver_process())
            children.start("board", processes.board_process())
            children.start("dagster", processes.dagster_process(settings))
            for name, url in processes.addresses(settings).items():
                click.echo(f"{name:<10}{url}")
            click.echo(f"logs      {settings.home / 'logs'}\nCtrl-C ends everything.")
            watch = clock.ClockWatch()
            while True:
                children.check()
                if watch.was_set_back():
                    clock.bring_back_apart(processes.environment(settings))
                time.sleep(0.5)
    except KeyboardInterrupt:
        click.echo("stopped")
    except processes.ProcessDied as died:
        raise click.ClickException(str(died)) from died


@click.command("receiver")
def receiver_command() -> None:
    """Run the receiver alone, in the foreground; it listens where AFTERCALL_RECEIVER_BIND says."""
    serve()
