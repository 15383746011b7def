"""`aftercall quarantine`: lists the events that are set aside because they break the build, and releases them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from orchestration.config import OrchestrationSettings

if TYPE_CHECKING:
    from orchestration.load.quarantined import QuarantinedEvent


@click.group("quarantine")
def quarantine_command() -> None:
    """Show events that were set aside because they break the build, or bring them back."""


@quarantine_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with all fields.")
def list_command(as_json: bool) -> None:
    """List the events that are set aside, oldest first."""
    from orchestration.quarantine import moves

    with _warehouse_errors():
        events = moves.listed(OrchestrationSettings())
    if as_json:
        for event in events:
            click.echo(json.dumps(asdict(event)))
        return
    click.echo("\n".join(_lines(events)) if events else "no event is set aside")


@quarantine_command.command("release")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--all", "everything", is_flag=True, help="Bring back every event.")
def release_command(keys: Sequence[str], everything: bool) -> None:
    """Bring back the events with these keys; the next pass rebuilds everything with them.

    An event that still breaks the build is set aside again.
    """
    from orchestration.quarantine import moves

    if bool(keys) == everything:
        raise click.UsageError("name the events by their keys (aftercall quarantine list), or give --all")
    with _warehouse_errors():
        count = moves.release(OrchestrationSettings(), None if everything else keys)
    if count < len(set(keys)):
        raise click.ClickException(
            f"{count} of {len(set(keys))} events came back; no event with another of these keys is set aside"
        )
    click.echo(
        f"{count} event{'' if count == 1 else 's'} came back; the next pass builds them: aftercall run"
    )


@contextmanager
def _warehouse_errors() -> Iterator[None]:
    from orchestration.warehouse import WarehouseBusy

    try:
        yield
    except WarehouseBusy as error:
        raise click.ClickException(str(error)) from error


def _lines(events: "Sequence[QuarantinedEvent]") -> Iterator[str]:
    for event in events:
        call = f"call {event.call_id}" if event.call_id else "no call"
        yield f"{event.event_key}  {event.source} {event.event_type}, {call}, {event.size:,} bytes"
        yield f"    received {event.received_at}, set aside {event.quarantined_at} UTC: {event.reason}"
