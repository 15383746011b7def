"""Which actions a command is about: the filters that `aftercall actions` and its commands share."""

import getpass
from collections.abc import Callable, Sequence
from typing import Any

import click

from integrations.destinations import CHANNELS
from integrations.outbox import STATUSES, Action, Outbox
from orchestration.cli.times import MOMENT

EVERY = 1_000_000
_OPTIONS = (
    click.option("--channel", type=click.Choice(CHANNELS), help="Only this channel."),
    click.option("--status", type=click.Choice(STATUSES), help="Only in this status."),
    click.option("--kind", metavar="KIND", help="Only this kind, for instance note."),
    click.option("--source", metavar="NAME", help="Only of this voice platform."),
    click.option("--call", "call_id", metavar="ID", help="Only of this call."),
    click.option("--destination", metavar="NAME", help="Only at this destination."),
    click.option("--since", type=MOMENT, help="Only what changed at or after this time (UTC)."),
)


def filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filters to a command; it gets them as `**wanted`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def by_whom(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add who does it, and the way around the question."""
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    return click.option(
        "--by", default=getpass.getuser, show_default="you", help="Who did it, for the record."
    )(command)


def chosen(outbox: Outbox, keys: Sequence[str], wanted: dict[str, Any]) -> list[Action]:
    """The actions of these keys, or all that the filters let through; click's error for neither or no such key."""
    if not keys and not any(wanted.values()):
        raise click.UsageError("name the action's KEY, or at least one filter")
    if not keys:
        return outbox.actions(**wanted, limit=EVERY)
    found = [(key, outbox.action(key)) for key in keys]
    unknown = [key for key, action in found if action is None]
    if unknown:
        raise click.ClickException(f"there is no action {', '.join(unknown)}; see: aftercall actions")
    return [action for _, action in found if action is not None]
