"""`aftercall check`: whether destinations can be reached with these credentials, and may do what they must."""

import csv
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.markup import escape

from integrations import former_names
from integrations.config import IntegrationSettings
from integrations.destinations import (
    CHANNELS,
    ChannelCheckable,
    CheckResult,
    SupportsCheck,
    available,
    exists,
    open_destination,
)
from integrations.errors import DestinationUnavailable, describe, redact
from integrations.routes import BadRoutes, configured
from orchestration.cli.filters import ChannelChoice
from orchestration.config import DBT_PROJECT


@click.command("check")
@click.argument("destinations", nargs=-1, metavar="[DESTINATION]...")
@click.option("--channel", type=ChannelChoice(), help="Only this channel.")
def check_command(destinations: Sequence[str], channel: str | None) -> None:
    """Verify the credentials and permissions of destinations with harmless calls; default: all that are configured.

    Prints what is missing. Exit code 1 if something is.
    """
    settings, console, bad = IntegrationSettings(), Console(soft_wrap=True), 0
    channels = (channel,) if channel else CHANNELS
    for where in channels:
        try:
            present = (former_names.destination(where, name) for name in destinations)
            names = [name for name in present if exists(where, name)] or (
                [] if destinations else list(configured(where, settings))
            )
        except (BadRoutes, ValueError) as error:
            raise click.ClickException(str(error)) from error
        for name in names:
            for finding in _findings(where, name, settings):
                bad += not finding.is_fine
                mark = "[green]ok[/]  " if finding.is_fine else "[red]bad[/] "
                console.print(
                    f"{mark} {where}/{name}: {escape(finding.name)}: {escape(redact(finding.message, settings))}"
                )
    unknown = [
        name
        for name in destinations
        if not any(exists(where, former_names.destination(where, name)) for where in channels)
    ]
    if unknown:
        known = sorted({name for where in channels for name in available(where)})
        raise click.ClickException(
            f"there is no destination {', '.join(unknown)}; there is {', '.join(known)}"
        )
    if bad:
        raise SystemExit(1)


def _chat_channels() -> set[str]:
    """The chat channels that the rules post to."""
    with (DBT_PROJECT / "seeds" / "slack_channels.csv").open(encoding="utf-8", newline="") as seed:
        return {row["slack_channel"].strip() for row in csv.DictReader(seed) if row["slack_channel"].strip()}


def _findings(channel: str, name: str, settings: IntegrationSettings) -> Iterator[CheckResult]:
    try:
        target = open_destination(channel, settings, name)
    except DestinationUnavailable as error:
        yield CheckResult("settings", False, describe(error, settings))
        return
    try:
        if isinstance(target, SupportsCheck):
            yield from target.check()
            if isinstance(target, ChannelCheckable):
                yield from map(target.check_channel, sorted(_chat_channels() - {settings.chat_alert_channel}))
        elif name == "preview":
            yield CheckResult("preview", True, "nothing leaves this machine")
        else:
            yield CheckResult(
                "settings", True, "complete; it cannot be asked for more without sending something"
            )
    except Exception as error:  # whatever a client library throws is a finding here
        yield CheckResult("could not be asked", False, describe(error, settings))
    finally:
        getattr(target, "close", lambda: None)()
