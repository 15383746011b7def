"""What the demo's morning came to, beside what it was to come to; and the exit code that follows.

Calls and their numbers are read from the published copy, as a BI tool reads them, actions from the outbox. Starting and
waiting belong to `demo`.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from rich.text import Text

from integrations.outbox import Action
from orchestration.cli.output import Listing, say
from orchestration.simulator.oracle import Expected

# what goes wrong is told as an action too, and is none of the morning's
_QUERY = """
select
    (select count(*) from calls) as calls,
    (select count(*) from call_outcomes where is_resolved) as resolved,
    (select count(*) from call_outcomes where not is_resolved) as unresolved,
    (select avg(satisfaction_score) from call_outcomes) as satisfaction,
    (select count(*) from actions where status in ('sent', 'skipped') and kind <> 'pipeline_alert') as actions,
    (select max(ended_at) from calls) as last_end
"""
_DIGITS = 6


@dataclass(frozen=True)
class Published:
    """The numbers in the published copy; `last_end` is when the last call ended, in UTC."""

    calls: int = 0
    resolved: int = 0
    unresolved: int = 0
    satisfaction: float | None = None
    actions: int = 0
    last_end: datetime | None = None

    def agrees_with(self, plan: Expected) -> bool:
        """Whether every number is as planned."""
        return all(line.is_right for line in _of_marts(plan, self))


@dataclass(frozen=True)
class Line:
    """One thing that was to happen so often."""

    name: str
    expected: float | None
    found: float | None

    @property
    def is_right(self) -> bool:
        """Whether it did; a mean is summed in another order here and there."""
        return _rounded(self.expected) == _rounded(self.found)


def read(path: Path) -> Published:
    """The numbers of a published copy; all zero before the first, and if a mart is missing."""
    if not path.exists():
        return Published()
    with duckdb.connect(str(path), read_only=True) as connection:
        try:
            row = connection.execute(_QUERY).fetchone()
        except duckdb.CatalogException:
            return Published()
    assert row is not None  # noqa: S101 - a query of aggregates has one row
    calls, resolved, unresolved, satisfaction, actions, last_end = row
    known_end = last_end.replace(tzinfo=UTC) if last_end else None
    return Published(calls, resolved, unresolved, satisfaction, actions, known_end)


def lines(plan: Expected, published: Published, actions: list[Action], lost: int) -> list[Line]:
    """What was to happen and what did; `lost` deliveries were not acknowledged."""
    done = Counter(action.kind for action in actions if action.status == "sent")
    mails = [action for action in actions if action.kind == "follow_up_email"]
    templates = Counter(str(mail.payload.get("template")) for mail in mails if mail.status == "sent")
    slack = Counter(
        str(action.payload.get("slack_channel"))
        for action in actions
        if action.channel == "chat" and action.status == "sent"
    )
    skipped = sum(mail.status == "skipped" for mail in mails)
    return [
        Line("deliveries lost", 0, lost),
        *_of_marts(plan, published),
        Line("tickets", plan.tickets, done["ticket"]),
        *(Line(f"e-mail {name}", count, templates[name]) for name, count in sorted(plan.emails.items())),
        Line("e-mails without address", plan.emails_without_address, skipped),
        Line("CRM contacts", plan.crm_contacts, done["contact"]),
        Line("CRM notes", plan.crm_notes, done["note"]),
        Line("CRM tasks", plan.crm_tasks, done["task"]),
        *(Line(f"Slack {name}", count, slack[name]) for name, count in sorted(plan.slack.items())),
    ]


def _of_marts(plan: Expected, published: Published) -> list[Line]:
    return [
        Line("calls", plan.calls, published.calls),
        Line("resolved", plan.resolved, published.resolved),
        Line("unresolved", plan.unresolved, published.unresolved),
        Line("satisfaction", plan.satisfaction, published.satisfaction),
        Line("actions in the marts", plan.actions, published.actions),
    ]


def show(found: list[Line], published: Published, actions: list[Action], logs: Path) -> None:
    """The table, the seconds between the last hang-up and the last action, and what is missing."""
    listing = Listing("what", "expected", "done", title="The morning")
    for line in found:
        colour = "green" if line.is_right else "red"
        listing.add(line.name, _shown(line.expected), Text(_shown(line.found), colour))
    listing.show()
    last_sent = max((action.sent_at for action in actions if action.sent_at), default=None)
    if last_sent and published.last_end:
        seconds = (last_sent - published.last_end).total_seconds()
        say(f"{seconds:.1f} s from the last hang-up to the last action")
    wrong = [
        f"{line.name}: {_shown(line.found)} instead of {_shown(line.expected)}"
        for line in found
        if not line.is_right
    ]
    if wrong:
        say(f"Lost: {'; '.join(wrong)}. See the runs in Dagster, and {logs}", "red")


def exit_code(found: list[Line]) -> int:
    """0 if everything happened, 1 if anything was lost or came out otherwise."""
    return 0 if all(line.is_right for line in found) else 1


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, _DIGITS)


def _shown(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:.2f}" if isinstance(number, float) else str(number)
