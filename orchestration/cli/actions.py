"""`aftercall actions`: what was done, what waits, what failed; one of them as it goes out; and what people may do."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.text import Text

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, SupportsDiff, SupportsPreview, open_destination
from integrations.errors import DestinationUnavailable, Rejected, Suppressed, describe
from integrations.outbox import PREVIEW, UPDATABLE, Action, Outbox, open_outbox
from integrations.rendering import prose
from integrations.routes import BadRoutes
from orchestration.cli import acting
from orchestration.cli.attention import show_attention
from orchestration.cli.filters import filtered
from orchestration.cli.output import WHOLE, Listing, say, say_json, whole

STYLES = {"sent": "green", "dead": "red", "retrying": "yellow", "skipped": "dim"}


@click.group("actions", invoke_without_command=True)
@filtered
@click.option("--limit", default=50, show_default=True, help="Most actions to list.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@click.pass_context
def actions_command(context: click.Context, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List what needs a person, then the actions, the last changed first. The commands below show or change actions.

    With a filter, list only the actions.
    """
    if context.invoked_subcommand is not None:
        if any(wanted.values()):
            raise click.UsageError(f"write the filters behind {context.invoked_subcommand}, not before it")
        return
    settings = IntegrationSettings()
    with open_outbox(settings.outbox_url) as outbox:
        actions = outbox.actions(**wanted, limit=limit)
        reasons = _reasons(outbox, actions, settings)
        if as_json:
            say_json(
                [_plain(asdict(one)) | {"reason": why} for one, why in zip(actions, reasons, strict=True)]
            )
            return
        if not any(wanted.values()):
            show_attention(outbox, settings)
    if not actions:
        say("no such actions")
        return
    listing = Listing("status", "changed (UTC)", "action", "destination", "record", "tries", "what is wrong")
    for action, why in zip(actions, reasons, strict=True):
        listing.add(
            Text(action.status, STYLES.get(action.status, "")),
            _when(action.updated_at),
            whole(action.action_key),
            whole(action.destination),
            whole(action.external_id),
            str(action.attempts),
            whole(why or action.last_error),
        )
    listing.show()


@actions_command.command("show")
@click.argument("key")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object with the action, its attempts and its history."
)
def show_command(key: str, as_json: bool) -> None:
    """Show one action: exactly what goes out, why it waits, every attempt, and what people did with it."""
    settings = IntegrationSettings()
    with open_outbox(settings.outbox_url) as outbox:
        action = outbox.action(key)
        if action is None:
            raise click.ClickException(f"there is no action {key!r}; see: aftercall actions")
        (why,) = _reasons(outbox, [action], settings)
        if as_json:
            say_json(_as_json(outbox, action, why))
            return
        _show_facts(action, why)
        history = Listing("when (UTC)", "what", "details", title="History", section="history")
        for when, what, details in sorted(_history(outbox, action)):
            history.add(_when(when), what, details)
        history.show()
        _show_content(outbox, _ahead(outbox, action, settings), settings)


def _reasons(outbox: Outbox, actions: list[Action], settings: IntegrationSettings) -> list[str]:
    """Why each action waits; empty for one that does not."""
    reasons = outbox.why_waiting(actions, settings)
    return [str(reasons.get(one.action_key, "")) for one in actions]


def _ahead(outbox: Outbox, action: Action, settings: IntegrationSettings) -> Action:
    """The action as the next pass finds it, because the configuration may lead it elsewhere by now."""
    try:
        current = outbox.reroute_preview(action, settings, datetime.now(UTC))
    except BadRoutes as error:
        raise click.ClickException(str(error)) from error
    if current.destination != action.destination:
        say(f"goes to {current.destination} now", "bold")
    elif current.status != action.status:
        say(current.last_error or f"is due at {current.destination} again", "bold")
    return current


def _show_content(outbox: Outbox, action: Action, settings: IntegrationSettings) -> None:
    try:
        rendered = outbox.rendered(action, settings)
    except (Rejected, DestinationUnavailable, Suppressed) as error:
        raise click.ClickException(f"nothing can be sent: {error}") from error
    say(f"\n{whole(rendered.title)} {rendered.media_type}", "bold")
    click.echo(prose(rendered.body, WHOLE))
    if action.destination == PREVIEW:
        return
    try:
        target = open_destination(action.channel, settings, action.destination)
        delivery = outbox.delivery(action, target, settings)
        if isinstance(target, SupportsPreview):
            _show_body(target, action, delivery)
            return
        fields = target.planned(delivery) if isinstance(target, SupportsDiff) else {}
    except Exception as error:  # a CRM is asked what is there: whatever comes of that must not hide the rest
        say(f"{action.destination}: {whole(describe(error, settings))}", "yellow")
        return
    if fields:
        say(f"\nAs {action.destination} gets it", "bold")
    listing = Listing("field", "value", section="field")
    for name, value in fields.items():
        listing.add(name, prose(value))
    listing.show()


def _show_body(target: SupportsPreview, action: Action, delivery: Delivery) -> None:
    known = (action.external_id or target.find(delivery)) if action.kind in UPDATABLE else None
    body = target.body(delivery, known)
    title = f"the request to {target.name}" + (f", for {known}" if known else "")
    say(f"\n{title}", "bold")
    content = (
        "nothing: it says all this already"
        if body is None
        else body
        if isinstance(body, str)
        else _json(body)
    )
    click.echo(prose(content, WHOLE))


def _json(body: Any) -> str:
    return orjson.dumps(body, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()


def _history(outbox: Outbox, action: Action) -> list[tuple[datetime, str, str]]:
    tries = [
        (one.started_at, one.outcome, " ".join(filter(None, (one.destination, whole(one.error)))))
        for one in outbox.attempts(action.action_key)
    ]
    return tries + [(one.at, one.did, f"by {one.by}") for one in outbox.interventions(action.action_key)]


def _as_json(outbox: Outbox, action: Action, why: str) -> dict[str, Any]:
    return {
        **_plain(asdict(action)),
        "reason": why,
        "tries": [_plain(asdict(one)) for one in outbox.attempts(action.action_key)],
        "interventions": [_plain(asdict(one)) for one in outbox.interventions(action.action_key)],
    }


def _show_facts(action: Action, why: str) -> None:
    listing = Listing("", "", section="fact")
    names = (
        "action_key", "status", "channel", "kind", "destination", "source", "call_id", "external_id", "last_error",
        "due_at", "next_attempt_at", "sent_at",
    )  # fmt: skip
    facts = {name: getattr(action, name) for name in names} | {"reason": why or None}
    for name, value in facts.items():
        if value is not None:
            shown = _when(value) if isinstance(value, datetime) else whole(value)
            listing.add(Text(name.replace("_", " "), "dim"), shown)
    listing.show()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


for command in acting.COMMANDS:
    actions_command.add_command(command)
