"""What is wrong with the channels, and the ledger of problems: each is opened and resolved once, and alerts tell of it.

The floor above looks for problems of runs and sources and records them in the same ledger. The list that people read is
`attention`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, func, insert, or_, select, update

from integrations.config import IntegrationSettings
from integrations.outbox import circuit_breaker
from integrations.outbox.alerts import KIND, alerts
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.enqueue import enqueue_in
from integrations.outbox.models import AT_ONCE, Finding, Pause, Problem, Reconciled
from integrations.outbox.schema import DEAD, UNSETTLED, SkipReason, actions, attempts, problems
from integrations.routes import BadRoutes, Routes, routes

DEAD_ACTIONS, CIRCUIT, WAITING = "no_dead_actions", "circuit_closed", "nothing_waits_too_long"
# Long enough that one flood is one problem, short enough that it is over when the flood is.
LOOKS_BACK = timedelta(hours=24)
OUTBOX_CHECKS = (DEAD_ACTIONS, CIRCUIT, WAITING)


def findings(engine: Engine, settings: IntegrationSettings, now: datetime) -> list[Finding]:
    """What is wrong with the outbox's channels: dead actions, destinations that stopped, what waits too long."""
    pauses = circuit_breaker.all_pauses(engine)
    stopped = [_stopped(pause, settings) for pause in pauses]
    return [*_dead(engine), *stopped, *_too_many(engine, now), *_waiting(engine, settings, now, pauses)]


def is_of_outbox(subject: str) -> bool:
    """True if `findings` sees such a problem; every other one is seen by the floor above."""
    return subject.startswith("outbox/") and subject.rpartition(":")[2] in OUTBOX_CHECKS


def _dead(engine: Engine) -> list[Finding]:
    group = (actions.c.channel, actions.c.destination, actions.c.kind)
    query = (
        select(*group, func.count(), func.max(actions.c.last_error))
        .where(actions.c.status == DEAD, actions.c.given_up_by.is_(None))
        .group_by(*group)
        .order_by(*group)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    by_place: dict[tuple[str, str, bool], list[Any]] = defaultdict(list)
    for row in rows:
        by_place[row[0], row[1], row[2] == KIND].append(row)
    return [
        Finding(
            f"dead:{'alerts:' if is_of_alerts else ''}{channel}:{destination}",
            f"outbox/{channel}:{DEAD_ACTIONS}",
            "Alerts did not go out" if is_of_alerts else f"Actions of the {channel} channel have failed",
            f"{sum(row[3] for row in own)} at {destination}; one of them: {own[0][4]}",
            f"Look: aftercall actions --channel {channel} --status dead. "
            "Then aftercall actions retry, or give-up.",
            # More alerts would not tell of alerts that cannot be sent.
            alert_after=None if is_of_alerts else AT_ONCE,
        )
        for (channel, destination, is_of_alerts), own in by_place.items()
    ]


def _too_many(engine: Engine, now: datetime) -> list[Finding]:
    skipped = actions.c.skip_reason == SkipReason.TOO_MANY.value
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
        stop_remedy(pause.channel, settings),
        next_try_at=pause.until,
        # A system that is back at the first look needs nobody.
        alert_after=AT_ONCE if pause.is_alerted else None,
    )


def stop_remedy(channel: str, settings: IntegrationSettings) -> str:
    """What to do about a destination that has stopped."""
    return (
        "Mend it; nothing is lost, and it goes on by itself within "
        f"{settings.pause_cap_seconds / 60:.0f} minutes, or at once: aftercall actions resume {channel}."
    )


def _waiting(
    engine: Engine, settings: IntegrationSettings, now: datetime, pauses: Sequence[Pause]
) -> list[Finding]:
    stops = {(pause.channel, pause.destination): pause for pause in pauses}
    first_failure = and_(
        attempts.c.action_key == actions.c.action_key,
        attempts.c.number == actions.c.attempts - actions.c.failures + 1,
    )
    waits_since = case((actions.c.failures > 0, attempts.c.started_at), else_=actions.c.updated_at)
    group = (actions.c.channel, actions.c.destination)
    query = (
        select(*group, func.count(), func.min(waits_since), func.min(actions.c.next_attempt_at))
        .select_from(actions.outerjoin(attempts, first_failure))
        .where(
            actions.c.status.in_(UNSETTLED),
            waits_since < now - timedelta(minutes=settings.alert_waiting_minutes),
        )
        .group_by(*group)
    )
    with reading(engine) as connection:
        rows: Sequence[Any] = connection.execute(query).all()
        before = open_in(connection)
    waiting = []
    for channel, destination, count, since, next_attempt_at in rows:
        key, pause = f"waiting:{channel}:{destination}", stops.get((channel, destination))
        # An alert tells of the stop, so none tells of the waiting, unless one did before: then it is not over.
        if pause and pause.is_alerted and key not in before:
            continue
        until = f"; it is tried again at {pause.until:%H:%M} UTC: {pause.reason}" if pause else ""
        waiting.append(
            Finding(
                key,
                f"outbox/{channel}:{WAITING}",
                f"Actions of the {channel} channel wait for more than {settings.alert_waiting_minutes:g} minutes",
                f"{count} for {destination}, the first since {since:%Y-%m-%d %H:%M} UTC{until}",
                f"Look: aftercall actions --channel {channel} --status retrying (or pending). Is {channel}_sensor on?",
                next_try_at=pause.until if pause else next_attempt_at,
            )
        )
    return waiting


def reconcile(
    engine: Engine,
    findings: Iterable[Finding],
    settings: IntegrationSettings,
    now: datetime,
    unsure: Sequence[str] = (),
) -> Reconciled:
    """Open what is new, resolve what is over, and alert of both once; all in one transaction.

    `unsure`: beginnings of keys that nobody could look into this time; their problems stay as they are.
    """
    findings = list(findings)
    current = {finding.key: finding for finding in findings if finding.over_at is None}
    past = [finding for finding in findings if finding.over_at is not None]
    with reading(engine) as connection:
        before = open_in(connection)
        is_news = _differ(current, before, unsure, now) or any(_is_new(connection, one) for one in past)
    if not is_news:
        return Reconciled((), (), tuple(before.values()))
    opened, resolved = [], []
    with writing(engine) as write:
        for finding in past:
            opened += _record_past(write, finding, settings, now)
        # Read again: somebody else may have looked at the same moment.
        before = open_in(write.connection)
        for key in before.keys() - current.keys():
            if not key.startswith(tuple(unsure)):
                _resolve(write, before[key], settings, now, now)
                resolved.append(before[key])
        for key, finding in current.items():
            if key not in before:
                _open(write, finding, settings, now)
            elif _is_alert_due(finding, before[key], now):
                _alert(write, finding, before[key].since, settings, now)
                write.connection.execute(update(problems).where(_is_row(before[key])).values(alerted_at=now))
            if key in before:
                values = {name: getattr(finding, name) for name in ("headline", "details", "remedy")}
                write.connection.execute(update(problems).where(_is_row(before[key])).values(**values))
        left = open_in(write.connection)
    opened += [left[key] for key in current if key not in before]
    return Reconciled(tuple(opened), tuple(resolved), tuple(left.values()))


def _differ(
    current: dict[str, Finding], before: dict[str, Problem], unsure: Sequence[str], now: datetime
) -> bool:
    gone = [key for key in before.keys() - current.keys() if not key.startswith(tuple(unsure))]
    known = before.keys() & current.keys()
    return bool(
        gone
        or current.keys() - before
        or any(current[key].details != before[key].details for key in known)
        or any(_is_alert_due(current[key], before[key], now) for key in known)
    )


def _is_alert_due(finding: Finding, problem: Problem, now: datetime) -> bool:
    wait = finding.alert_after
    return problem.alerted_at is None and wait is not None and now - problem.since >= wait


def _is_new(connection: Connection, past: Finding) -> bool:
    """True if the ledger does not know yet that a problem has ended."""
    is_this = or_(problems.c.since == past.since, problems.c.resolved_at >= past.over_at)
    known = select(problems.c.key).where(
        problems.c.key == past.key, problems.c.resolved_at.is_not(None), is_this
    )
    return connection.execute(known).first() is None


def _record_past(write: Write, past: Finding, settings: IntegrationSettings, now: datetime) -> list[Problem]:
    """Record a problem that began and ended between two looks, or the end of one that an earlier look saw.

    The messages are those of a problem that was seen while it lasted, so that the pace of the looks changes nothing.
    """
    if not _is_new(write.connection, past):
        return []
    ended = past.over_at or now
    before = open_in(write.connection).get(past.key)
    opened = []
    if before is None or before.since > ended:
        before = _open(write, past, settings, now)
        opened.append(before)
    elif _is_alert_due(past, before, now):
        # It had not become a matter for a person when an earlier look saw it; then it did.
        _alert(write, past, before.since, settings, now)
        before = replace(before, alerted_at=now)
        write.connection.execute(update(problems).where(_is_row(before)).values(alerted_at=now))
    _resolve(write, before, settings, ended, now)
    return opened


def open_in(connection: Connection) -> dict[str, Problem]:
    """Every problem that is open, by key, the oldest first."""
    query = (
        select(problems).where(problems.c.resolved_at.is_(None)).order_by(problems.c.since, problems.c.key)
    )
    return {row["key"]: Problem(**row) for row in connection.execute(query).mappings()}


def open_problems(engine: Engine) -> list[Problem]:
    """Every problem that is open, the oldest first."""
    with reading(engine) as connection:
        return list(open_in(connection).values())


def _open(write: Write, finding: Finding, settings: IntegrationSettings, now: datetime) -> Problem:
    since = finding.since or now
    wait = finding.alert_after
    alerted_at = now if wait is not None and now - since >= wait else None
    words = (finding.subject, finding.headline, finding.details, finding.remedy)
    problem = Problem(finding.key, since, *words, alerted_at=alerted_at, resolved_at=None)
    write.connection.execute(insert(problems).values(**vars(problem)))
    if alerted_at is not None:
        _alert(write, finding, since, settings, now)
    return problem


def _alert(
    write: Write, finding: Finding, since: datetime, settings: IntegrationSettings, now: datetime
) -> None:
    key = _alert_key(finding.key, since)
    _enqueue_alert(write, key, finding.headline, settings, now, finding.details, finding.remedy)


def _resolve(
    write: Write, problem: Problem, settings: IntegrationSettings, ended: datetime, now: datetime
) -> None:
    write.connection.execute(update(problems).where(_is_row(problem)).values(resolved_at=ended))
    if problem.alerted_at is None:
        return
    key = f"{_alert_key(problem.key, problem.since)}:resolved"
    lasted = f"It lasted from {problem.since:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC."
    _enqueue_alert(write, key, f"Resolved: {problem.headline}", settings, now, lasted, "")


def _alert_key(key: str, since: datetime) -> str:
    """As exact as the ledger's own key: the same problem may begin twice within a second."""
    return f"{key}:{since:%Y-%m-%dT%H:%M:%S.%f}"


def _enqueue_alert(
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
    actions_due = alerts(key, headline, settings, now, summary=summary, action_needed=action_needed)
    enqueue_in(write, actions_due, now, settings, known)


def _is_row(problem: Problem) -> Any:
    return and_(problems.c.key == problem.key, problems.c.since == problem.since)
