"""The one list of what needs a person, for the board, `aftercall actions` and `aftercall run`; alerts tell of the same.

What concerns the outbox is looked up as it is now. What only the floor above can see (runs, sensors, sources) is what
the last look for problems has left in the ledger. How the list looks to its reader does not belong here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import problems
from integrations.outbox.looks import last_look
from integrations.outbox.models import AT_ONCE, Action, Finding, Problem
from integrations.outbox.outbox import Outbox
from integrations.outbox.queue import UNSETTLED

NO_LOOK = "looks"
"""Key of the item that says that nobody looks for problems."""
_FIRST = (
    "receiver",
    NO_LOOK,
    "refused",
    "runs",
    "quarantine",
    "stopped",
    "paused",
    "dead",
    "limited",
    "waiting",
)


@dataclass(frozen=True)
class AttentionItem:
    """Something that needs a person, or soon may; all times are aware UTC.

    Args:
        key: the same as long as it is the same problem; its beginning says the kind, for instance `stopped`.
        headline: one line.
        details: what was seen.
        remedy: what to do.
        since: when it was first seen; None if nobody has recorded that yet.
        next_try_at: when aftercall tries again by itself; None: it waits for a person.
        is_urgent: whether a person is needed now; else it may mend itself, and no alert tells of it yet.
    """

    key: str
    headline: str
    details: str
    remedy: str
    since: datetime | None = None
    next_try_at: datetime | None = None
    is_urgent: bool = True

    @property
    def kind(self) -> str:
        """What it is about: `stopped`, `paused`, `dead`, `runs` and so on."""
        return self.key.partition(":")[0]

    @property
    def channel(self) -> str | None:
        """The channel whose actions it concerns; None if it concerns more than a channel."""
        of_channel = next((part for part in self.key.split(":")[1:] if part in CHANNELS), None)
        return of_channel if self.kind in ("stopped", "paused", "dead", "waiting") else None


@dataclass(frozen=True)
class Attention:
    """What needs a person, the worst first, and when somebody last looked for problems (UTC, None: never)."""

    items: tuple[AttentionItem, ...]
    looked_at: datetime | None

    @property
    def is_clear(self) -> bool:
        """Whether nothing needs a person."""
        return not self.items


def needs_attention(
    outbox: Outbox, settings: IntegrationSettings, now: datetime, more: Iterable[Finding] = ()
) -> Attention:
    """The list as it is now. Asks the outbox only.

    Args:
        outbox: the ledger.
        settings: those of the integrations.
        now: aware.
        more: what the caller has just seen itself, for instance `receiver_watch.receiver_findings`; it counts before
            what the last look has recorded under the same key.
    """
    look = last_look(outbox.engine)
    recorded = {problem.key: problem for problem in problems.open_problems(outbox.engine)}
    findings = {finding.key: finding for finding in problems.find(outbox.engine, settings, now)}
    findings |= {finding.key: finding for finding in more}
    if (silence := _silence(look.at if look else None, settings, now)) is not None:
        findings[silence.key] = silence
    items = [_seen_now(finding, recorded.get(key), now) for key, finding in findings.items()]
    next_tries = look.next_tries if look else {}
    for key, problem in recorded.items():
        # The outbox's own problems were looked up just now: what is not among those is over.
        if key not in findings and not problems.is_of_outbox(problem.subject):
            items.append(_recorded(problem, next_tries.get(key)))
    return Attention(tuple(sorted(items, key=_rank)), look.at if look else None)


def why_waiting(
    outbox: Outbox, settings: IntegrationSettings, action: Action, now: datetime
) -> AttentionItem | None:
    """Why an action waits though nothing is wrong with itself: its destination has stopped, or its channel is off."""
    if action.status not in UNSETTLED:
        return None
    reasons = (f"stopped:{action.channel}:{action.destination}", f"paused:{action.channel}")
    items = {item.key: item for item in needs_attention(outbox, settings, now).items}
    return next((items[key] for key in reasons if key in items), None)


def _seen_now(finding: Finding, problem: Problem | None, now: datetime) -> AttentionItem:
    since = problem.since if problem else finding.since
    wait = finding.alert_after
    is_urgent = wait is not None and now - (since or now) >= wait
    return AttentionItem(
        finding.key,
        finding.headline,
        finding.details,
        finding.remedy,
        since=since,
        next_try_at=finding.next_try_at,
        is_urgent=is_urgent or (problem is not None and problem.told_at is not None),
    )


def _recorded(problem: Problem, next_try_at: datetime | None) -> AttentionItem:
    words = (problem.key, problem.headline, problem.details, problem.remedy)
    return AttentionItem(*words, problem.since, next_try_at, is_urgent=problem.told_at is not None)


def _silence(looked_at: datetime | None, settings: IntegrationSettings, now: datetime) -> Finding | None:
    if not settings.alert_look_minutes:
        return None
    if looked_at is not None and now - looked_at <= timedelta(minutes=settings.alert_look_minutes):
        return None
    return Finding(
        NO_LOOK,
        "raw/call_events:somebody_looks",
        "Nobody looks for problems",
        f"The last look was at {looked_at:%Y-%m-%d %H:%M} UTC. Passes may stand still too."
        if looked_at
        else "No look so far: Dagster's daemon has not run yet.",
        "Start Dagster's daemon: aftercall up. Where nobody starts one, aftercall run looks after each pass.",
        # What has just been started has not looked yet.
        alert_after=AT_ONCE if looked_at else None,
        since=looked_at,
    )


def _rank(item: AttentionItem) -> tuple[bool, int, str]:
    place = _FIRST.index(item.kind) if item.kind in _FIRST else len(_FIRST)
    return not item.is_urgent, place, item.key
