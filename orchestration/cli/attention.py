"""What needs a person, and what waits, as `aftercall actions` and `aftercall run` print them.

The list is that of the board and of the alerts; how it comes about belongs to `integrations.outbox.attention`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox
from integrations.receiver_watch import receiver_findings
from orchestration.cli.output import Listing, is_terminal, say, whole
from receiver.config import ReceiverSettings


def show_attention(outbox: Outbox, settings: IntegrationSettings) -> None:
    """Print each thing that needs a person: its headline with the next try, what was seen, and what to do."""
    listing = Listing("needs a person", "details", "what to do", section="attention")
    seen = receiver_findings(ReceiverSettings().receiver_bind)
    for item in outbox.needs_attention(settings, datetime.now(UTC), seen).items:
        until = (
            f", next try {item.next_try_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if item.next_try_at else ""
        )
        headline, details, remedy = whole(item.headline) + until, whole(item.details), whole(item.remedy)
        if is_terminal():
            say(f"{headline}: {details} {remedy}", "red" if item.is_urgent else "yellow")
        else:
            listing.add(headline, details, remedy)
    listing.show()


def show_waiting(outbox: Outbox, paused: Mapping[str, str]) -> None:
    """Print how many actions wait where, and why. `paused`: the reason by channel, where a person stopped one."""
    for row in outbox.waiting():
        why = paused.get(row.channel, row.reason)
        verb = "waits" if row.actions == 1 else "wait"
        say(f"{row.channel}: {row.actions} {verb} for {whole(row.destination)}: {whole(why)}", "yellow")
