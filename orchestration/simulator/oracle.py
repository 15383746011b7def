"""The expected results of simulated calls, counted from the simulator's own facts.

Independent of the dbt project on purpose: where the two disagree, one of them is wrong. Reads no body, and does not
depend on the order of deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.simulator.calls import Call
from orchestration.simulator.simulate import LEAD_SECONDS, planned

_RESOLVES = {
    "successful": True,
    "resolved": True,
    "completed_goal": True,
    "unsuccessful": False,
    "unresolved": False,
    "failed": False,
    "transferred": False,
}
_PRIORITIES = ("low", "normal", "high", "urgent")


@dataclass(frozen=True)
class Facts:
    """A call by its delivered events; None is unknown."""

    call_id: str
    phone: str
    email: str | None
    is_resolved: bool | None
    satisfaction: int | None
    is_transfer_requested: bool
    needs_follow_up: bool
    is_vip: bool
    priority: str
    email_template: str | None


@dataclass(frozen=True)
class Expected:
    """Totals over all calls, once every delivery has arrived.

    `emails` counts mails to a known address, by template; `emails_without_address` counts skipped mails.
    `satisfaction` is the mean score of the rated calls, None if there are none.
    """

    calls: int = 0
    events: int = 0
    started: int = 0
    ended: int = 0
    analysed: int = 0
    resolved: int = 0
    unresolved: int = 0
    satisfaction: float | None = None
    turns: int = 0
    tickets: int = 0
    tickets_by_priority: dict[str, int] = field(default_factory=dict)
    emails: dict[str, int] = field(default_factory=dict)
    emails_without_address: int = 0
    slack: dict[str, int] = field(default_factory=dict)
    crm_contacts: int = 0
    crm_notes: int = 0
    crm_tasks: int = 0

    @property
    def actions(self) -> int:
        """Expected rows of the outbox at the end, skipped mails included."""
        mails = sum(self.emails.values()) + self.emails_without_address
        crm = self.crm_contacts + self.crm_notes + self.crm_tasks
        return self.tickets + mails + sum(self.slack.values()) + crm


def expected(
    calls: int, seed: int, start: datetime, *, rate: float = 2.0, lead_seconds: float = LEAD_SECONDS
) -> Expected:
    """The expected results of `simulate` with the same arguments; raises the same errors."""
    return expect(planned(calls, seed, start, rate=rate, lead_seconds=lead_seconds))


def expect(calls: Iterable[Call]) -> Expected:
    """The totals for these calls."""
    known = [(call, facts(call)) for call in calls]
    every = [fact for _, fact in known]
    unresolved = [fact for fact in every if fact.is_resolved is False]
    scores = [fact.satisfaction for fact in every if fact.satisfaction is not None]
    mails = [fact for fact in every if fact.email_template is not None]
    slack = {
        "#support": sum(fact.is_transfer_requested for fact in every),
        "#alerts": sum(score <= 2 for score in scores),
        "#vip": sum(fact.is_vip and call.has_end for call, fact in known),
    }
    return Expected(
        calls=len(known),
        events=sum(call.has_start + call.has_end + call.has_analytics for call, _ in known),
        started=sum(call.has_start for call, _ in known),
        ended=sum(call.has_end for call, _ in known),
        analysed=sum(call.has_analytics for call, _ in known),
        resolved=sum(fact.is_resolved is True for fact in every),
        unresolved=len(unresolved),
        satisfaction=sum(scores) / len(scores) if scores else None,
        turns=sum(len(call.turns) for call, _ in known if call.has_end),
        tickets=len(unresolved),
        tickets_by_priority=dict(Counter(fact.priority for fact in unresolved)),
        emails=dict(Counter(str(fact.email_template) for fact in mails if fact.email is not None)),
        emails_without_address=sum(fact.email is None for fact in mails),
        slack={channel: count for channel, count in slack.items() if count},
        crm_contacts=len({fact.phone for fact in every}),
        crm_notes=sum(call.has_end for call, _ in known),
        crm_tasks=sum(fact.needs_follow_up or fact.is_resolved is False for fact in every),
    )


def facts(call: Call) -> Facts:
    """The facts in the events that leave the platform."""
    satisfaction = call.satisfaction if call.has_analytics else None
    disposition = _disposition(call)
    is_resolved = call.is_resolved if call.has_analytics else _RESOLVES.get(disposition or "")
    reported_by = call.transfer_reported_by
    is_transfer_requested = (
        disposition == "transferred"
        or (reported_by == "metric" and call.has_analytics)
        or (reported_by == "variable" and call.has_end)
    )
    return Facts(
        call_id=call.call_id,
        phone=call.customer.phone,
        email=call.customer.email if call.has_end else None,
        is_resolved=is_resolved,
        satisfaction=satisfaction,
        is_transfer_requested=is_transfer_requested,
        needs_follow_up=call.needs_follow_up and call.has_analytics,
        is_vip=call.customer.is_vip and call.has_end,
        priority=_priority(call, satisfaction, is_transfer_requested),
        email_template=_email_template(is_resolved, satisfaction) if call.has_analytics else None,
    )


def _disposition(call: Call) -> str | None:
    if call.has_analytics and call.analytics_have_outcome:
        return call.outcome
    if call.has_end and call.dialect == "seed":
        return call.end_disposition.lower().replace(" ", "_")
    return None


def _priority(call: Call, satisfaction: int | None, is_transfer_requested: bool) -> str:
    sentiment = call.sentiment if call.has_analytics else None
    if sentiment is None and satisfaction is not None:
        sentiment = "positive" if satisfaction >= 4 else "negative" if satisfaction <= 2 else "neutral"
    step = {"positive": 0, "negative": 2}.get(sentiment or "unknown", 1)
    return _PRIORITIES[step + is_transfer_requested]


def _email_template(is_resolved: bool | None, satisfaction: int | None) -> str | None:
    if satisfaction is not None and satisfaction <= 2:
        return "apology_escalation"
    if is_resolved is False:
        return "additional_resources"
    if is_resolved and satisfaction is not None and satisfaction >= 4:
        return "thank_you"
    return None
