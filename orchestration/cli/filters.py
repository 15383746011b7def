"""The filters that `aftercall actions` and its commands share."""

import getpass
from collections.abc import Callable, Sequence
from typing import Any

import click

from integrations import former_names
from integrations.destinations import CHANNELS
from integrations.outbox import STATUSES, Action, Outbox
from orchestration.cli.times import MOMENT

EVERY = 1_000_000


class ChannelChoice(click.Choice[str]):
    """A channel, also by the name that it had before."""

    def __init__(self) -> None:
        super().__init__(CHANNELS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The channel's present name."""
        return super().convert(former_names.channel(str(value)), param, ctx)


_OPTIONS = (
    click.option("--channel", type=ChannelChoice(), help="Only this channel."),
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
    """Add --by, the name for the record, and --yes, which skips the question."""
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    return click.option(
        "--by", default=getpass.getuser, show_default="you", help="Who did it, for the record."
    )(command)


def chosen(outbox: Outbox, keys: Sequence[str], wanted: dict[str, Any]) -> list[Action]:
    """The actions with these keys, or all that pass the filters. Raises click's error for neither or an unknown key."""
    if not keys and not any(wanted.values()):
        raise click.UsageError("name the action's KEY, or at least one filter")
    if not keys:
        return outbox.actions(**wanted, limit=EVERY)
    actions = [(key, outbox.action(key)) for key in keys]
    unknown = [key for key, action in actions if action is None]
    if unknown:
        raise click.ClickException(f"there is no action {', '.join(unknown)}; see: aftercall actions")
    return [action for _, action in actions if action is not None]
