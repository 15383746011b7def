"""`aftercall demo`: a busy morning of synthetic calls, from the first webhook to the last action."""

import os
import shutil
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from integrations.config import IntegrationSettings
from integrations.outbox import Action, open_outbox
from orchestration import instance
from orchestration.cli import processes
from orchestration.cli.traffic import with_bar
from orchestration.config import OrchestrationSettings
from orchestration.traffic.expected import Expected, expected
from orchestration.traffic.simulate import simulate

_SETTLED = {"sent", "skipped"}
_EVERY = 1_000_000


@click.command("demo")
@click.option("--calls", default=200, show_default=True, help="How many calls.")
@click.option("--rate", default=8.0, show_default=True, help="Calls that end in a second.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same calls.")
@click.option(
    "--exit", "exit_when_done", is_flag=True, help="End by itself; exit code 1 if anything was lost."
)
@click.option(
    "--patience", default=300.0, show_default=True, help="Longest wait for the last action, seconds."
)
def demo_command(calls: int, rate: float, seed: int, exit_when_done: bool, patience: float) -> None:
    """Start everything in a fresh state directory, simulate a busy morning, wait for the last action."""
    os.environ["AFTERCALL_HOME"] = str(_fresh_home())
    settings, console = OrchestrationSettings(), Console()
    instance.prepare(settings)
    urls = processes.addresses(settings)
    try:
        with processes.Children(
            processes.environment(settings), settings.home, settings.home / "logs"
        ) as children:
            children.start("receiver", processes.receiver_process())
            children.start("board", processes.board_process())
            children.start("dagster", processes.dagster_process(settings))
            with console.status("starting the receiver and Dagster"):
                children.wait_until(lambda: processes.answers(f"{urls['receiver']}/readyz"), "receiver", 60)
                children.wait_until(
                    lambda: processes.answers(f"{urls['dagster']}/server_info"), "Dagster", 120
                )
            start = datetime.now(UTC)
            plan = expected(calls, seed, start, rate=rate)
            deliveries = list(simulate(calls, seed, start, rate=rate))
            report = with_bar(deliveries, len(deliveries), urls["receiver"], 16, speed=1.0, since=start)
            with console.status("waiting for the last action (it goes through Dagster, see its UI)"):
                found = _wait(children, plan, patience)
            lost = report.sent - report.accepted
            is_whole = _show(console, plan, found, lost, start)
            console.print("\n".join(f"{name:<10}{url}" for name, url in urls.items()))
            console.print(f"numbers   {settings.published} (DuckDB)")
            if not is_whole:
                console.print(
                    f"[red]Something is missing:[/] see the runs in Dagster, and {settings.home / 'logs'}"
                )
            if not exit_when_done:
                _stay(children, console)
    except (processes.ProcessDied, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        return
    if exit_when_done and not is_whole:
        raise SystemExit(1)


def _fresh_home() -> Path:
    """A state directory of the demo's own, empty, beside the real one's files."""
    home = OrchestrationSettings().home / "demo"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return home


def _wait(children: processes.Children, plan: Expected, patience: float) -> list[Action]:
    """The actions, once all that are expected are settled, or when patience ends."""
    deadline = time.monotonic() + patience
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        while True:
            children.check()
            counts = outbox.counts()
            settled = sum(count.actions for count in counts if count.status in _SETTLED)
            if (settled >= plan.actions and settled == sum(count.actions for count in counts)) or (
                time.monotonic() > deadline
            ):
                return outbox.actions(limit=_EVERY)
            time.sleep(0.5)


def _show(console: Console, plan: Expected, actions: list[Action], lost: int, start: datetime) -> bool:
    """Print what happened beside what was to happen; whether they are the same."""
    done = Counter(action.kind for action in actions if action.status == "sent")
    mails = [action for action in actions if action.kind == "follow_up_email"]
    templates = Counter(str(mail.payload.get("template")) for mail in mails if mail.status == "sent")
    slack = Counter(
        str(action.payload.get("slack_channel"))
        for action in actions
        if action.channel == "slack" and action.status == "sent"
    )
    rows: list[tuple[str, object, object]] = [
        ("deliveries lost", 0, lost),
        ("calls with a note", plan.crm_notes, done["note"]),
        ("tickets (unresolved)", plan.tickets, done["ticket"]),
        *((f"e-mail {name}", count, templates[name]) for name, count in sorted(plan.emails.items())),
        ("e-mails without address", plan.emails_without_address, sum(m.status == "skipped" for m in mails)),
        ("CRM contacts", plan.crm_contacts, done["contact"]),
        ("CRM tasks", plan.crm_tasks, done["task"]),
        *((f"Slack {name}", count, slack[name]) for name, count in sorted(plan.slack.items())),
    ]
    table = Table("", "expected", "done", title="The morning")
    for name, wanted, got in rows:
        table.add_row(name, str(wanted), f"[green]{got}[/]" if wanted == got else f"[red]{got}[/]")
    rating = "-" if plan.satisfaction is None else f"{plan.satisfaction:.2f}"
    console.print(f"{plan.calls} calls, {plan.resolved} resolved, satisfaction {rating}")
    console.print(table)
    last_sent = max((action.sent_at for action in actions if action.sent_at), default=start)
    last_due = max((action.due_at for action in actions if action.due_at), default=start)
    console.print(f"{(last_sent - last_due).total_seconds():.1f} s from the last hang-up to the last action")
    return all(wanted == got for _, wanted, got in rows)


def _stay(children: processes.Children, console: Console) -> None:
    console.print("Running until Ctrl-C.")
    while True:
        children.check()
        time.sleep(0.5)
