"""The ledger of problems: each is opened and resolved once, and a message tells of either.

What is wrong is found by `problems` and by the floor above; the list that people read is `attention`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, insert, or_, select, update

from integrations.config import IntegrationSettings
from integrations.outbox.alerts import alerts
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.enqueue import fill_in
from integrations.outbox.models import Finding, Problem
from integrations.outbox.schema import problems
from integrations.routes import BadRoutes, Routes, routes


@dataclass(frozen=True)
class Reconciled:
    """What began, what is over, and every problem that is open now."""

    opened: tuple[Problem, ...]
    resolved: tuple[Problem, ...]
    open: tuple[Problem, ...]


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
                write.connection.execute(update(problems).where(_same(before[key])).values(told_at=now))
            if key in before:
                values = {name: getattr(finding, name) for name in ("headline", "details", "remedy")}
                write.connection.execute(update(problems).where(_same(before[key])).values(**values))
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
    return problem.told_at is None and wait is not None and now - problem.since >= wait


def _is_new(connection: Connection, past: Finding) -> bool:
    """Whether the ledger does not know yet that a problem has ended."""
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
        before = replace(before, told_at=now)
        write.connection.execute(update(problems).where(_same(before)).values(told_at=now))
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


def all_problems(engine: Engine) -> list[Problem]:
    """Every problem there is and was, the oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(select(problems).order_by(problems.c.since, problems.c.key)).mappings()
        return [Problem(**row) for row in rows]


def _open(write: Write, finding: Finding, settings: IntegrationSettings, now: datetime) -> Problem:
    since = finding.since or now
    wait = finding.alert_after
    told_at = now if wait is not None and now - since >= wait else None
    words = (finding.subject, finding.headline, finding.details, finding.remedy)
    problem = Problem(finding.key, since, *words, told_at=told_at, resolved_at=None)
    write.connection.execute(insert(problems).values(**vars(problem)))
    if told_at is not None:
        _alert(write, finding, since, settings, now)
    return problem


def _alert(
    write: Write, finding: Finding, since: datetime, settings: IntegrationSettings, now: datetime
) -> None:
    key = _alert_key(finding.key, since)
    _tell(write, key, finding.headline, settings, now, finding.details, finding.remedy)


def _resolve(
    write: Write, problem: Problem, settings: IntegrationSettings, ended: datetime, now: datetime
) -> None:
    write.connection.execute(update(problems).where(_same(problem)).values(resolved_at=ended))
    if problem.told_at is None:
        return
    key = f"{_alert_key(problem.key, problem.since)}:resolved"
    lasted = f"It lasted from {problem.since:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC."
    _tell(write, key, f"Resolved: {problem.headline}", settings, now, lasted, "")


def _alert_key(key: str, since: datetime) -> str:
    """As exact as the ledger's own key: the same problem may begin twice within a second."""
    return f"{key}:{since:%Y-%m-%dT%H:%M:%S.%f}"


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
