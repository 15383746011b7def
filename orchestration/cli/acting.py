"""`aftercall actions retry`, `give-up`, `resend`, `resume`. The action records who did it."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click

from integrations.config import IntegrationSettings
from integrations.outbox import SENT, UPDATABLE, Action, NotPossible, open_outbox
from orchestration.cli.filters import ChannelChoice, by_whom, chosen, filtered


@click.command("retry")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@filtered
@by_whom
def retry_command(keys: Sequence[str], by: str, yes: bool, **wanted: Any) -> None:
    """Retry actions at once, at any age; their paused destinations resume."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        selected = chosen(outbox, keys, wanted)
        _confirm(selected, "retried", yes or len(selected) == 1)
        _each(selected, lambda action: outbox.retry(action.action_key, by=by), "due again")


@click.command("give-up")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@filtered
@by_whom
def give_up_command(keys: Sequence[str], by: str, yes: bool, **wanted: Any) -> None:
    """Close actions for good; only `retry` opens them again."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        selected = chosen(outbox, keys, wanted)
        _confirm(selected, "given up", yes)
        _each(selected, lambda action: outbox.give_up(action.action_key, by), "given up")


@click.command("resend")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@filtered
@click.option(
    "--twice", is_flag=True, help="Also mails and messages, which people then receive a second time."
)  # fmt: skip
@by_whom
def resend_command(keys: Sequence[str], twice: bool, by: str, yes: bool, **wanted: Any) -> None:
    """Send actions again that were sent.

    Tickets, contacts, notes and tasks are written into the same record again. A mail or a message becomes a new action
    with the same content, `<key>~2`, and only with --twice.
    """
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        sent = [action for action in chosen(outbox, keys, wanted) if action.status == SENT]
        once = [action for action in sent if action.kind not in UPDATABLE]
        if once and not twice:
            click.echo(
                f"left out: {len(once)} that are sent only once; with --twice people receive them a second time"
            )
            sent = [action for action in sent if action.kind in UPDATABLE]
        _confirm(sent, "sent once more", yes)
        _each(sent, lambda action: outbox.resend(action.action_key, by), "due once more")


@click.command("resume")
@click.argument("channel", type=ChannelChoice())
@click.argument("destination", required=False)
def resume_command(channel: str, destination: str | None) -> None:
    """Resume the paused destinations of a channel at once."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        paused = [pause.destination for pause in outbox.pauses() if pause.channel == channel]
        resumed = [name for name in paused if destination in (None, name)]
        outbox.resume(channel, destination)
    click.echo(f"resumed: {', '.join(resumed)}" if resumed else "no such destination was paused")


COMMANDS = (retry_command, give_up_command, resend_command, resume_command)


def _confirm(selected: Sequence[Action], what: str, yes: bool) -> None:
    """Print how many actions of which kind are concerned, and ask. Raises click's Abort for a no."""
    if not selected:
        raise click.ClickException("no such actions")
    kinds = Counter(f"{action.kind} at {action.destination}" for action in selected)
    click.echo(f"to be {what}: " + ", ".join(f"{count} x {kind}" for kind, count in kinds.items()))
    if not yes:
        click.confirm("Go on?", abort=True)


def _each(selected: Sequence[Action], act: Callable[[Action], object], done: str) -> None:
    """Act on each; print what cannot be done. Exit code 1 if nothing could be."""
    count = 0
    for action in selected:
        try:
            act(action)
            count += 1
        except NotPossible as error:
            click.echo(str(error), err=True)
    click.echo(f"{count} {done}; aftercall up, or aftercall run, sends what is due")
    if not count:
        raise SystemExit(1)
