"""`aftercall run --dry-run`: what would happen to every action that is due now. Systems are asked, never changed."""

from collections import Counter
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.text import Text

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import FAIL, SKIP, WAIT, Plan, open_outbox
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
            plans = [
                plan
                for channel in CHANNELS
                for plan in outbox.plans(channel, settings, datetime.now(UTC), limit)
            ]
        except BadRoutes as error:
            raise click.ClickException(str(error)) from error
    for plan in plans:
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
    details = Text(line(plan.reason, 300))
    for name, (before, after) in plan.changes.items():
        details.append(f"\n{name}: " if details else f"{name}: ", "bold")
        if before is not None:
            details.append(line(before, 200), "red strike")
            details.append(" → ")
        details.append(line(after, 200), "green")
    return details
