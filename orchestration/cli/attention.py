"""What needs a person, and what waits, as `aftercall actions` and `aftercall run` print them.

The findings are those of the alerts; how they come about belongs to `integrations.outbox.problems`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, problems
from integrations.outbox.waiting import waiting
from orchestration.cli.output import Listing, is_terminal, say, whole


def show_attention(outbox: Outbox, settings: IntegrationSettings) -> None:
    """Print each thing that needs a person: its headline with the next try, what was seen, and what to do."""
    listing = Listing("needs a person", "details", "what to do", section="attention")
    for headline, details, remedy in _items(outbox, settings):
        if is_terminal():
            say(f"{headline}: {details}. {remedy}", "red")
        else:
            listing.add(headline, details, remedy)
    listing.show()


def show_waiting(outbox: Outbox, paused: Mapping[str, str]) -> None:
    """Print how many actions wait where, and why. `paused`: the reason by channel, where a person stopped one."""
    for row in waiting(outbox.engine, outbox.pauses()):
        why = paused.get(row.channel, row.reason)
        verb = "waits" if row.actions == 1 else "wait"
        say(f"{row.channel}: {row.actions} {verb} for {whole(row.destination)}: {whole(why)}", "yellow")


def _items(outbox: Outbox, settings: IntegrationSettings) -> Iterator[tuple[str, str, str]]:
    """Destinations that have stopped, also those of which no alert tells yet, then all other findings."""
    findings = {finding.key: finding for finding in problems.find(outbox.engine, settings, datetime.now(UTC))}
    for pause in outbox.pauses():
        finding = findings.pop(f"stopped:{pause.channel}:{pause.destination}", None)
        until = f"{pause.until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        resume = f"Mend it; it goes on by itself, or at once: aftercall actions resume {pause.channel}."
        yield (
            f"{pause.channel} has stopped at {whole(pause.destination)} until {until}",
            whole(pause.reason),
            whole(finding.remedy) if finding else resume,
        )
    for finding in findings.values():
        yield whole(finding.headline), whole(finding.details), whole(finding.remedy)
