"""`aftercall run --dry-run`: what would happen to every action that is due now. Systems are asked, never changed."""

from collections import Counter
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.text import Text

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import open_outbox
from integrations.outbox.looking import FAIL, SKIP, WAIT, Plan, plans
from integrations.rendering import line
from integrations.routes import BadRoutes
from orchestration.cli.output import Listing, whole
from orchestration.config import OrchestrationSettings
from orchestration.load.pipeline import has_new_lines

_STYLES = {FAIL: "red", WAIT: "yellow", SKIP: "yellow"}


def show(limit: int) -> None:
    """Print a row for each action: what it does where, and each field that would change, before and after."""
    settings, listing = IntegrationSettings(), Listing("would", "action", "destination", "details")
    does: Counter[str] = Counter()
    with open_outbox(settings.outbox_url) as outbox, Console(stderr=True).status("asking the destinations"):
        try:
            made = [
                plan
                for channel in CHANNELS
                for plan in plans(outbox.engine, channel, settings, datetime.now(UTC), limit)
            ]
        except BadRoutes as error:
            raise click.ClickException(str(error)) from error
    for plan in made:
        does[plan.does] += 1
        listing.add(
            Text(plan.does, _STYLES.get(plan.does, "green")),
            whole(plan.action.action_key),
            whole(plan.action.destination),
            _details(plan),
        )
    listing.show()
    click.echo(", ".join(f"{count} to {what}" for what, count in does.items()) or "nothing is due")
    if has_new_lines(OrchestrationSettings()):
        click.echo("New events have landed: a real run loads and builds them first, and more may become due.")


def _details(plan: Plan) -> Text:
    told = Text(line(plan.told, 300))
    for name, (before, after) in plan.changes.items():
        told.append(f"\n{name}: " if told else f"{name}: ", "bold")
        if before is not None:
            told.append(line(before, 200), "red strike")
            told.append(" → ")
        told.append(line(after, 200), "green")
    return told
