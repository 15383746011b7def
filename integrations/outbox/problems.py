"""What is wrong, told once: findings become problems with a beginning and an end, and a message at either.

The findings of the outbox are here; those of runs and sources belong to the floor above, and go the same way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, func, insert, select, update

from integrations.config import IntegrationSettings
from integrations.outbox import circuit
from integrations.outbox.alerts import KIND, alerts
from integrations.outbox.backlog import UNSETTLED
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.filling import fill_in
from integrations.outbox.limits import TOO_MANY
from integrations.outbox.records import Finding, Pause, Problem
from integrations.outbox.schema import DEAD, SKIPPED, actions, attempts, problems
from integrations.routes import BadRoutes, Routes, routes

DEAD_ACTIONS, CIRCUIT, WAITING = "no_dead_actions", "circuit_closed", "nothing_waits_too_long"
# Long enough that one flood is one problem, short enough that it is over when the flood is.
LOOKS_BACK = timedelta(hours=24)
OUTBOX_CHECKS = (DEAD_ACTIONS, CIRCUIT, WAITING)


@dataclass(frozen=True)
class Reconciled:
    """What began, what is over, and every problem that is open now."""

    opened: tuple[Problem, ...]
    resolved: tuple[Problem, ...]
    open: tuple[Problem, ...]


def find(engine: Engine, settings: IntegrationSettings, now: datetime) -> list[Finding]:
    """What is wrong with the outbox's channels: dead actions, destinations that stopped, what waits too long."""
    pauses = circuit.all_pauses(engine)
    stopped = [_stopped(pause, settings) for pause in pauses if pause.is_alerted]
    return [*_dead(engine), *stopped, *_too_many(engine, now), *_waiting(engine, settings, now, pauses)]


def reconcile(
    engine: Engine,
    findings: Iterable[Finding],
    settings: IntegrationSettings,
    now: datetime,
    unsure: Sequence[str] = (),
) -> Reconciled:
    """Open what is new, resolve what is over, and tell of both, once; all in one transaction.

    `unsure`: beginnings of keys that nobody could look into this time; their problems stay as they are.
    """
    found = {finding.key: finding for finding in findings}
    with reading(engine) as connection:
        before = _open_problems(connection)
    if not _differ(found, before, unsure):
        return Reconciled((), (), tuple(before.values()))
    with writing(engine) as write:
        # Read again: somebody else may have looked at the same moment.
        before = _open_problems(write.connection)
        over = [key for key in before if key not in found and not key.startswith(tuple(unsure))]
        new = [key for key in found if key not in before]
        for key in new:
            _open(write, found[key], settings, now)
        for key in over:
            _resolve(write, before[key], settings, now)
        for key in before.keys() & found.keys():
            values = {"details": found[key].details}
            write.connection.execute(update(problems).where(_same(before[key])).values(**values))
        left = _open_problems(write.connection)
    return Reconciled(
        tuple(left[key] for key in new), tuple(before[key] for key in over), tuple(left.values())
    )


def _differ(found: dict[str, Finding], before: dict[str, Problem], unsure: Sequence[str]) -> bool:
    gone = [key for key in before.keys() - found.keys() if not key.startswith(tuple(unsure))]
    known = before.keys() & found.keys()
    return bool(
        gone or found.keys() - before or any(found[key].details != before[key].details for key in known)
    )


def _open_problems(connection: Connection) -> dict[str, Problem]:
    query = (
        select(problems).where(problems.c.resolved_at.is_(None)).order_by(problems.c.since, problems.c.key)
    )
    return {row["key"]: Problem(**row) for row in connection.execute(query).mappings()}


def all_problems(engine: Engine) -> list[Problem]:
    """Every problem there is and was, the oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(select(problems).order_by(problems.c.since, problems.c.key)).mappings()
        return [Problem(**row) for row in rows]


def _open(write: Write, finding: Finding, settings: IntegrationSettings, now: datetime) -> None:
    write.connection.execute(
        insert(problems).values(**vars(finding), since=now, told_at=now, resolved_at=None)
    )
    key = f"{finding.key}:{now:%Y-%m-%dT%H:%M:%S}"
    _tell(write, key, finding.headline, settings, now, finding.details, finding.remedy)


def _resolve(write: Write, problem: Problem, settings: IntegrationSettings, now: datetime) -> None:
    write.connection.execute(update(problems).where(_same(problem)).values(resolved_at=now))
    key = f"{problem.key}:{problem.since:%Y-%m-%dT%H:%M:%S}:resolved"
    lasted = f"It lasted from {problem.since:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC."
    _tell(write, key, f"Resolved: {problem.headline}", settings, now, lasted, "")


def _tell(
    write: Write,
    key: str,
    headline: str,
    settings: IntegrationSettings,
    now: datetime,
    summary: str,
    action_needed: str,
) -> None:
    try:
        known = routes(settings)
    except BadRoutes:
        # That the routes are broken is what somebody must hear of.
        known = Routes()
    fill_in(write, alerts(key, headline, settings, now, summary, action_needed), now, settings, known)


def _same(problem: Problem) -> Any:
    return and_(problems.c.key == problem.key, problems.c.since == problem.since)


def _dead(engine: Engine) -> list[Finding]:
    group = (actions.c.channel, actions.c.destination)
    query = (
        select(*group, func.count(), func.max(actions.c.last_error))
        # A dead alert is told by the other problems it was about, not by more alerts.
        .where(actions.c.status == DEAD, actions.c.given_up_by.is_(None), actions.c.kind != KIND)
        .group_by(*group)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [
        Finding(
            f"dead:{channel}:{destination}",
            f"outbox/{channel}:{DEAD_ACTIONS}",
            f"Actions of the {channel} channel are dead",
            f"{count} at {destination}; one of them: {error}",
            f"Look: aftercall actions --channel {channel} --status dead. Then aftercall actions retry, or give-up.",
        )
        for channel, destination, count, error in rows
    ]


def _too_many(engine: Engine, now: datetime) -> list[Finding]:
    skipped = and_(actions.c.status == SKIPPED, actions.c.last_error == TOO_MANY)
    recent = and_(actions.c.channel == "email", actions.c.due_at > now - LOOKS_BACK)
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).where(recent, skipped)).scalar_one()
    if not count:
        return []
    return [
        Finding(
            "limited:email",
            f"outbox/email:{DEAD_ACTIONS}",
            "Mails were not sent because too many were due",
            f"{count} within {LOOKS_BACK.total_seconds() / 3600:.0f} hours",
            "Look: aftercall actions --channel email --status skipped. If callers do not misuse you, raise "
            "AFTERCALL_EMAIL_MOST_PER_ADDRESS_DAY, _PER_DOMAIN_DAY or _PER_HOUR. Then: aftercall actions retry.",
        )
    ]


def _stopped(pause: Pause, settings: IntegrationSettings) -> Finding:
    return Finding(
        f"stopped:{pause.channel}:{pause.destination}",
        f"outbox/{pause.channel}:{CIRCUIT}",
        f"The {pause.channel} channel has stopped at {pause.destination}",
        f"{pause.destination}: {pause.reason}",
        "Mend it; nothing is lost, and it goes on by itself within "
        f"{settings.pause_cap_seconds / 60:.0f} minutes, or at once: aftercall actions resume {pause.channel}.",
    )


def _waiting(
    engine: Engine, settings: IntegrationSettings, now: datetime, pauses: Sequence[Pause]
) -> list[Finding]:
    stops = {f"waiting:{pause.channel}:{pause.destination}": pause for pause in pauses}
    first_failure = and_(
        attempts.c.action_key == actions.c.action_key,
        attempts.c.number == actions.c.attempts - actions.c.failures + 1,
    )
    waits_since = case((actions.c.failures > 0, attempts.c.started_at), else_=actions.c.updated_at)
    group = (actions.c.channel, actions.c.destination)
    query = (
        select(*group, func.count(), func.min(waits_since))
        .select_from(actions.outerjoin(attempts, first_failure))
        .where(
            actions.c.status.in_(UNSETTLED),
            waits_since < now - timedelta(minutes=settings.alert_waiting_minutes),
        )
        .group_by(*group)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
        before = _open_problems(connection)
    findings = [
        Finding(
            f"waiting:{channel}:{destination}",
            f"outbox/{channel}:{WAITING}",
            f"Actions of the {channel} channel wait for more than {settings.alert_waiting_minutes:g} minutes",
            f"{count} for {destination}, the first since {since:%Y-%m-%d %H:%M} UTC"
            + _until(stops.get(f"waiting:{channel}:{destination}")),
            f"Look: aftercall actions --channel {channel} --status retrying (or pending). Is {channel}_sensor on?",
        )
        for channel, destination, count, since in rows
    ]
    # Where the stop is told, the waiting is not, unless it was told before: then it is not over.
    told = {key for key, pause in stops.items() if pause.is_alerted} - before.keys()
    return [finding for finding in findings if finding.key not in told]


def _until(pause: Pause | None) -> str:
    return f"; it is tried again at {pause.until:%H:%M} UTC: {pause.reason}" if pause else ""
