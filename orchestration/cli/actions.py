"""`aftercall actions`: what was done, what waits, what failed; one of them as it goes out; and what people may do."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from integrations.config import IntegrationSettings
from integrations.destinations import Comparable, Delivery, Destination, Showable, open_destination
from integrations.errors import Paused, Refused, describe
from integrations.outbox import Action, Outbox, open_outbox
from integrations.outbox.following import ahead
from integrations.outbox.looking import rendered
from integrations.outbox.previews import NAME as PREVIEW
from integrations.outbox.schema import UPDATABLE
from integrations.outbox.trying import NotYet, Trier
from integrations.rendering import line, prose
from integrations.routes import BadRoutes
from orchestration.cli import acting
from orchestration.cli.filters import filtered

STYLES = {"sent": "green", "dead": "red", "retrying": "yellow", "skipped": "dim"}


@click.group("actions", invoke_without_command=True)
@filtered
@click.option("--limit", default=50, show_default=True, help="Most actions to list.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@click.pass_context
def actions_command(context: click.Context, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List actions, the last changed first; with a command, look at them or act upon them."""
    if context.invoked_subcommand is not None:
        if any(wanted.values()):
            raise click.UsageError(f"write the filters behind {context.invoked_subcommand}, not before it")
        return
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        found = outbox.actions(**wanted, limit=limit)
        pauses = outbox.pauses()
    if as_json:
        click.echo(json.dumps([_plain(asdict(action)) for action in found], indent=2))
        return
    console = Console()
    for pause in pauses:
        told = f"{pause.channel} has stopped at {pause.destination} until {_when(pause.until)}: "
        console.print(Text(told + line(pause.reason, 300), "red"))
    if not found:
        click.echo("no such actions")
        return
    table = Table("status", "changed (UTC)", "action", "destination", "record", "tries", "what is wrong")
    for action in found:
        table.add_row(
            Text(action.status, STYLES.get(action.status, "")),
            _when(action.updated_at),
            Text(line(action.action_key)),
            Text(line(action.destination)),
            Text(line(action.external_id or "", 40)),
            str(action.attempts),
            Text(line(action.last_error or "", 120)),
        )
    console.print(table)


@actions_command.command("show")
@click.argument("key")
def show_command(key: str) -> None:
    """Show one action: what goes out, exactly; every try; and what people did to it."""
    settings, console = IntegrationSettings(), Console()
    with open_outbox(settings.outbox_url) as outbox:
        action = outbox.action(key)
        if action is None:
            raise click.ClickException(f"there is no action {key!r}; see: aftercall actions")
        console.print(_facts(action))
        history = Table("when (UTC)", "what", "details", title="History", title_justify="left")
        for when, what, details in sorted(_history(outbox, action)):
            history.add_row(_when(when), what, Text(details))
        if history.row_count:
            console.print(history)
        _show_content(console, outbox, _ahead(console, outbox, action, settings), settings)


def _ahead(console: Console, outbox: Outbox, action: Action, settings: IntegrationSettings) -> Action:
    """The action as the next pass finds it, because the configuration may lead it elsewhere by now."""
    try:
        found = ahead(outbox.engine, action, settings, datetime.now(UTC))
    except BadRoutes as error:
        raise click.ClickException(str(error)) from error
    if found.destination != action.destination:
        console.print(Text(f"goes to {found.destination} now", "bold"))
    elif found.status != action.status:
        console.print(Text(found.last_error or f"is due at {found.destination} again", "bold"))
    return found


def _show_content(console: Console, outbox: Outbox, action: Action, settings: IntegrationSettings) -> None:
    preview = open_destination(action.channel, settings, PREVIEW)
    try:
        made = rendered(_delivery(outbox, action, preview, settings), settings)
    except (Refused, Paused) as error:
        raise click.ClickException(f"nothing can be sent: {error}") from error
    console.print(Text(f"\n{line(made.title)}", "bold"), Text(made.media_type, "dim"))
    console.print(Text(prose(made.body, 1_000_000)))
    try:
        target = open_destination(action.channel, settings, action.destination)
        delivery = _delivery(outbox, action, target, settings)
        if isinstance(target, Showable):
            _show_body(console, target, action, delivery)
            return
        fields = target.planned(delivery) if isinstance(target, Comparable) else {}
    except Exception as error:  # a CRM is asked what is there: whatever comes of that must not hide the rest
        console.print(Text(f"{action.destination}: {line(describe(error, settings), 300)}", "yellow"))
        return
    if fields:
        table = Table("field", "value", title=f"As {action.destination} gets it", title_justify="left")
        for name, value in fields.items():
            table.add_row(name, Text(prose(value)))
        console.print(table)


def _delivery(outbox: Outbox, action: Action, target: Destination, settings: IntegrationSettings) -> Delivery:
    trier = Trier(outbox.engine, target, settings, lambda: datetime.now(UTC), {})
    try:
        return trier.delivery(action)
    except NotYet:
        # Its contact goes first; until then it is shown without one.
        return trier.delivery(replace(action, parent_key=None))


def _show_body(console: Console, target: Showable, action: Action, delivery: Delivery) -> None:
    known = (action.external_id or target.find(delivery)) if action.kind in UPDATABLE else None
    body = target.body(delivery, known)
    told = f"the request to {target.name}" + (f", for {known}" if known else "")
    console.print(Text(f"\n{told}", "bold"))
    said = (
        "nothing: it says all this already"
        if body is None
        else body
        if isinstance(body, str)
        else _json(body)
    )
    console.print(Text(prose(said, 1_000_000)))


def _json(body: Any) -> str:
    return orjson.dumps(body, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()


def _history(outbox: Outbox, action: Action) -> list[tuple[datetime, str, str]]:
    tries = [
        (one.started_at, one.outcome, " ".join(filter(None, (one.destination, line(one.error or "", 300)))))
        for one in outbox.attempts(action.action_key)
    ]
    return tries + [(one.at, one.did, f"by {one.by}") for one in outbox.interventions(action.action_key)]


def _facts(action: Action) -> Table:
    grid = Table.grid(padding=(0, 2))
    names = (
        "action_key", "status", "channel", "kind", "destination", "source", "call_id", "external_id", "last_error",
        "due_at", "next_attempt_at", "sent_at",
    )  # fmt: skip
    for name in names:
        value = getattr(action, name)
        if value is not None:
            shown = _when(value) if isinstance(value, datetime) else line(value, 500)
            grid.add_row(Text(name.replace("_", " "), "dim"), Text(shown))
    return grid


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


for command in acting.COMMANDS:
    actions_command.add_command(command)
