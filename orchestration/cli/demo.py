"""`aftercall demo`: a busy morning of synthetic calls, from the first webhook to the last action."""

import os
import re
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from dotenv import dotenv_values
from rich.console import Console
from rich.text import Text

from integrations.config import IntegrationSettings
from integrations.outbox import Action, open_outbox
from orchestration.cli.output import Listing, say
from orchestration.cli.traffic import with_bar
from orchestration.config import DagsterSettings, OrchestrationSettings
from orchestration.runtime import instance
from orchestration.simulator.oracle import Expected, expected
from orchestration.simulator.simulate import simulate
from orchestration.tools import demo_results, processes
from orchestration.tools.children import Children, ProcessDied
from orchestration.warehouse import open_warehouse
from receiver.config import ENV_FILE

_SETTLED = {"sent", "skipped"}
_EVERY = 1_000_000
_POLL_SECONDS = 0.5
# on a busy machine Dagster needs minutes to import its modules
_START_SECONDS = 300
# where the processes listen, and who may see the board and Dagster
_LISTENERS = re.compile("AFTERCALL_(RECEIVER_BIND|DAGSTER_.*|BOARD_.*|TRUSTED_PROXIES)", re.IGNORECASE)


@click.command("demo")
@click.option("--calls", default=200, show_default=True, help="How many calls.")
@click.option("--rate", default=8.0, show_default=True, help="Calls that end per second.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same calls.")
@click.option(
    "--exit", "exit_when_done", is_flag=True, help="End by itself; exit code 1 if anything was lost."
)
@click.option(
    "--patience", default=300.0, show_default=True, help="Longest wait for the last action, seconds."
)
def demo_command(calls: int, rate: float, seed: int, exit_when_done: bool, patience: float) -> None:
    """Start everything in a fresh state directory, simulate a busy morning and wait for the last action.

    Every channel is at `preview`, whatever the environment and `.env` say.
    """
    _stand_alone()
    settings, console = OrchestrationSettings(), Console()
    processes.refuse_to_start()
    instance.prepare(settings)
    urls = processes.addresses()
    logs = settings.home / "logs"
    try:
        with Children(processes.environment(settings), settings.home, logs) as children:
            _start(children, urls, console)
            start = datetime.now(UTC)
            plan = expected(calls, seed, start, rate=rate)
            deliveries = list(simulate(calls, seed, start, rate=rate))
            report = with_bar(deliveries, len(deliveries), urls["receiver"], 16, speed=1.0, since=start)
            with console.status("waiting for the last action (it goes through Dagster, see its UI)"):
                deadline = time.monotonic() + patience
                actions = _wait_for_actions(children, plan, deadline)
                published = _wait_for_marts(children, settings, plan, deadline)
            results = demo_results.lines(plan, published, actions, report.sent - report.accepted)
            show_results(results, published, actions, logs)
            for name, url in (urls | processes.pages()).items():
                click.echo(f"{name:<10}{url}")
            click.echo(f"numbers   {open_warehouse(settings).published.location} (DuckDB)")
            if not exit_when_done:
                _stay(children, console)
    except (ProcessDied, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        return
    raise SystemExit(demo_results.exit_code(results))


def _stand_alone() -> None:
    """Reset every setting except the addresses to listen at: invented calls must reach no real system.

    From here on the process works in an empty state directory of the demo's own, without a `.env`.
    """
    configured = {**dotenv_values(ENV_FILE), **os.environ}
    listeners = {name: value for name, value in configured.items() if value and _LISTENERS.fullmatch(name)}
    home = OrchestrationSettings().home / "demo"
    # settings are read in any case
    for name in [name for name in os.environ if name.upper().startswith("AFTERCALL_")]:
        del os.environ[name]
    os.environ.update(listeners)
    os.environ["AFTERCALL_HOME"] = str(home)
    os.environ["AFTERCALL_SECRET_ATOMS"] = secrets.token_hex(16)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.chdir(home)


def _start(children: Children, urls: dict[str, str], console: Console) -> None:
    processes.start_receiver(children)
    children.start("board", processes.board_process())
    processes.start_dagster(children, DagsterSettings())
    with console.status("starting the receiver and Dagster"):
        children.wait_until(
            lambda: processes.answers(f"{urls['receiver']}/readyz"), "receiver", _START_SECONDS
        )
        children.wait_until(
            lambda: processes.answers(f"{urls['dagster']}/server_info"), "Dagster", _START_SECONDS
        )


def _wait_for_actions(children: Children, plan: Expected, deadline: float) -> list[Action]:
    """The actions, once all that are expected are settled, or at the deadline of the monotonic clock."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        while True:
            children.tend(_warn)
            counts = outbox.counts()
            settled = sum(count.actions for count in counts if count.status in _SETTLED)
            if (settled >= plan.actions and settled == sum(count.actions for count in counts)) or (
                time.monotonic() > deadline
            ):
                return outbox.actions(limit=_EVERY)
            time.sleep(_POLL_SECONDS)


def _wait_for_marts(
    children: Children, settings: OrchestrationSettings, plan: Expected, deadline: float
) -> demo_results.Published:
    """The published numbers, once they are as planned, or at the deadline: copies are made seconds apart."""
    while True:
        children.tend(_warn)
        published = demo_results.read(settings)
        if published.agrees_with(plan) or time.monotonic() > deadline:
            return published
        time.sleep(_POLL_SECONDS)


def show_results(
    results: list[demo_results.Line], published: demo_results.Published, actions: list[Action], logs: Path
) -> None:
    """Print the table, the seconds from the last hang-up to the last action, and what is missing."""
    listing = Listing("what", "expected", "done", title="The morning")
    for line in results:
        colour = "green" if line.is_right else "red"
        listing.add(line.name, _shown(line.expected), Text(_shown(line.actual), colour))
    listing.show()
    last_sent = max((action.sent_at for action in actions if action.sent_at), default=None)
    if last_sent and published.last_end:
        seconds = (last_sent - published.last_end).total_seconds()
        say(f"{seconds:.1f} s from the last hang-up to the last action")
    wrong = [
        f"{line.name}: {_shown(line.actual)} instead of {_shown(line.expected)}"
        for line in results
        if not line.is_right
    ]
    if wrong:
        say(f"Lost: {'; '.join(wrong)}. See the runs in Dagster, and {logs}", "red")


def _shown(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:.2f}" if isinstance(number, float) else str(number)


def _stay(children: Children, console: Console) -> None:
    console.print("Running until Ctrl-C.")
    while True:
        children.tend(_warn)
        time.sleep(_POLL_SECONDS)


def _warn(text: str) -> None:
    click.echo(text, err=True)
