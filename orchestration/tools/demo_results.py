"""The results of the demo's morning, beside the expected ones; and the exit code that follows.

Calls and their numbers are read from the published copy, as a BI tool reads them, actions from the outbox. Starting,
waiting and printing belong to `orchestration/cli/demo.py`.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from integrations.outbox import Action
from orchestration.config import OrchestrationSettings
from orchestration.simulator.oracle import Expected
from orchestration.warehouse import NotPublished, RelationMissing, open_warehouse

# an alert is an action too, but none of the morning's
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
    """One number of the morning: as expected, and as it came out."""

    name: str
    expected: float | None
    actual: float | None

    @property
    def is_right(self) -> bool:
        """True if the two agree, rounded: a mean may be summed in another order."""
        return _rounded(self.expected) == _rounded(self.actual)


def read(settings: OrchestrationSettings) -> Published:
    """The numbers of the published copy; all zero before the first, and if a mart is missing."""
    try:
        with open_warehouse(settings).published.connect() as connection:
            (row,) = connection.rows(_QUERY)
    except (NotPublished, RelationMissing):
        return Published()
    calls, resolved, unresolved, satisfaction, actions, last_end = row
    known_end = last_end.replace(tzinfo=UTC) if last_end else None
    return Published(calls, resolved, unresolved, satisfaction, actions, known_end)


def lines(plan: Expected, published: Published, actions: list[Action], lost: int) -> list[Line]:
    """Every number of the morning; `lost` deliveries were not acknowledged."""
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


def exit_code(results: list[Line]) -> int:
    """0 if every number is as expected, else 1."""
    return 0 if all(line.is_right for line in results) else 1


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, _DIGITS)
