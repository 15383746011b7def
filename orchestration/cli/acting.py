"""`aftercall actions retry`, `give-up`, `resend`, `resume`: what people may do. Who did it is kept with the action."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import SENT, UPDATABLE, Action, NotPossible, open_outbox
from orchestration.cli.filters import by_whom, chosen, filtered


@click.command("retry")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@filtered
@by_whom
def retry_command(keys: Sequence[str], by: str, yes: bool, **wanted: Any) -> None:
    """Have actions tried again at once, whatever their age; ends the stop of their destinations."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        found = chosen(outbox, keys, wanted)
        _confirm(found, "tried again", yes or len(found) == 1)
        _each(found, lambda action: outbox.retry(action.action_key, by=by), "due again")


@click.command("give-up")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@filtered
@by_whom
def give_up_command(keys: Sequence[str], by: str, yes: bool, **wanted: Any) -> None:
    """Close actions for good; only `retry` opens them again."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        found = chosen(outbox, keys, wanted)
        _confirm(found, "given up", yes)
        _each(found, lambda action: outbox.give_up(action.action_key, by), "given up")


@click.command("resend")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@filtered
@click.option(
    "--twice", is_flag=True, help="Mails and messages too, which are sent only once: people get them a second time."
)  # fmt: skip
@by_whom
def resend_command(keys: Sequence[str], twice: bool, by: str, yes: bool, **wanted: Any) -> None:
    """Send once more what was sent.

    Tickets, contacts, notes and tasks are written again into the same record. A mail or a message becomes a new action
    with the same content, `<key>~2`, and only with --twice.
    """
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        sent = [action for action in chosen(outbox, keys, wanted) if action.status == SENT]
        once = [action for action in sent if action.kind not in UPDATABLE]
        if once and not twice:
            click.echo(
                f"left out: {len(once)} that are sent only once; with --twice people get them a second time"
            )
            sent = [action for action in sent if action.kind in UPDATABLE]
        _confirm(sent, "sent once more", yes)
        _each(sent, lambda action: outbox.resend(action.action_key, by), "due once more")


@click.command("resume")
@click.argument("channel", type=click.Choice(CHANNELS))
@click.argument("destination", required=False)
def resume_command(channel: str, destination: str | None) -> None:
    """Let a channel's destinations that have stopped try again at once."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        stopped = [pause.destination for pause in outbox.pauses() if pause.channel == channel]
        mine = [name for name in stopped if destination in (None, name)]
        outbox.resume(channel, destination)
    click.echo(f"tried again at once: {', '.join(mine)}" if mine else "nothing of it had stopped")


COMMANDS = (retry_command, give_up_command, resend_command, resume_command)


def _confirm(found: Sequence[Action], what: str, yes: bool) -> None:
    """Say what would happen to how many, and ask. Raises click's Abort for a no."""
    if not found:
        raise click.ClickException("no such actions")
    kinds = Counter(f"{action.kind} at {action.destination}" for action in found)
    click.echo(f"to be {what}: " + ", ".join(f"{count} x {kind}" for kind, count in kinds.items()))
    if not yes:
        click.confirm("Go on?", abort=True)


def _each(found: Sequence[Action], act: Callable[[Action], object], done: str) -> None:
    """Act upon each; what cannot be done is said, and ends with exit code 1 if nothing could be."""
    count = 0
    for action in found:
        try:
            act(action)
            count += 1
        except NotPossible as error:
            click.echo(str(error), err=True)
    click.echo(f"{count} {done}; aftercall up, or aftercall run, sends what is due")
    if not count:
        raise SystemExit(1)
