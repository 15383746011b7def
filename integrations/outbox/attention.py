"""The one list of what needs a person, for the board, `aftercall actions` and `aftercall run`; alerts tell of the same.

What concerns the outbox is looked up as it is now. What only the floor above can see (runs, sensors, sources) is what
the last look for problems has left in the ledger. How the list looks to its reader does not belong here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import incidents
from integrations.outbox.engine import watermark_of, write_watermark, writing
from integrations.outbox.models import AT_ONCE, Finding, Problem

_LAST_LOOK = "problems:last_look"
"""Name of the watermark that holds the last look, as JSON."""
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
class Look:
    """A look for problems.

    Args:
        at: when it was, UTC.
        next_tries: of the problems that aftercall tries again by itself, when that is, by the problem's key.
        notes: what the one who looks wants to know at the next look; any JSON.
    """

    at: datetime
    next_tries: Mapping[str, datetime] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


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
        is_urgent: True if a person is needed now. Otherwise it may resolve itself, and no alert has gone out yet.
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


def needs_attention(
    engine: Engine, settings: IntegrationSettings, now: datetime, more: Iterable[Finding] = ()
) -> Attention:
    """The list as it is now. Asks the outbox only.

    Args:
        engine: the outbox's engine.
        settings: those of the integrations.
        now: aware.
        more: what the caller has just seen itself, for instance `receiver_watch.receiver_findings`; it counts before
            what the last look has recorded under the same key.
    """
    look = last_look(engine)
    recorded = {problem.key: problem for problem in incidents.open_problems(engine)}
    findings = {finding.key: finding for finding in [*incidents.findings(engine, settings, now), *more]}
    if (silence := _silence(look.at if look else None, settings, now)) is not None:
        findings[silence.key] = silence
    items = [_seen_now(finding, recorded.get(key), now) for key, finding in findings.items()]
    next_tries = look.next_tries if look else {}
    for key, problem in recorded.items():
        # The outbox's own problems were looked up just now: what is not among those is over.
        if key not in findings and not incidents.is_of_outbox(problem.subject):
            items.append(_recorded(problem, next_tries.get(key)))
    return Attention(tuple(sorted(items, key=_rank)), look.at if look else None)


def last_look(engine: Engine) -> Look | None:
    """The last look, or None if there was none."""
    value = watermark_of(engine, _LAST_LOOK)
    if value is None:
        return None
    try:
        fields = json.loads(value)
        next_tries = {key: datetime.fromisoformat(at) for key, at in fields["next_tries"].items()}
        return Look(datetime.fromisoformat(fields["at"]), next_tries, fields["notes"])
    except (ValueError, KeyError, TypeError, AttributeError):  # of another version of aftercall
        return None


def record_look(engine: Engine, now: datetime, findings: Iterable[Finding], notes: Mapping[str, Any]) -> None:
    """Write that somebody looked, and when the next tries of what they saw are."""
    next_tries = {
        finding.key: finding.next_try_at.astimezone(UTC).isoformat()
        for finding in findings
        if finding.next_try_at is not None
    }
    fields = {"at": now.astimezone(UTC).isoformat(), "next_tries": next_tries, "notes": dict(notes)}
    with writing(engine) as write:
        write_watermark(write, _LAST_LOOK, json.dumps(fields))


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
        is_urgent=is_urgent or (problem is not None and problem.alerted_at is not None),
    )


def _recorded(problem: Problem, next_try_at: datetime | None) -> AttentionItem:
    texts = (problem.key, problem.headline, problem.details, problem.remedy)
    return AttentionItem(*texts, problem.since, next_try_at, is_urgent=problem.alerted_at is not None)


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
