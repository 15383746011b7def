"""What is wrong with the outbox's channels: actions that failed, destinations that stopped, what waits too long.

Findings only. How each is told once belongs to `incidents`, whose names are offered from here too; those of runs and
sources belong to the floor above, and go the same way.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, and_, case, func, select

from integrations.config import IntegrationSettings
from integrations.outbox import circuit_breaker
from integrations.outbox.alerts import KIND
from integrations.outbox.engine import reading
from integrations.outbox.incidents import Reconciled, all_problems, open_in, open_problems, reconcile
from integrations.outbox.limits import TOO_MANY
from integrations.outbox.models import AT_ONCE, Finding, Pause
from integrations.outbox.queue import UNSETTLED
from integrations.outbox.schema import DEAD, SKIPPED, actions, attempts

__all__ = [
    "OUTBOX_CHECKS",
    "Reconciled",
    "all_problems",
    "find",
    "is_of_outbox",
    "open_problems",
    "reconcile",
]
DEAD_ACTIONS, CIRCUIT, WAITING = "no_dead_actions", "circuit_closed", "nothing_waits_too_long"
# Long enough that one flood is one problem, short enough that it is over when the flood is.
LOOKS_BACK = timedelta(hours=24)
OUTBOX_CHECKS = (DEAD_ACTIONS, CIRCUIT, WAITING)


def find(engine: Engine, settings: IntegrationSettings, now: datetime) -> list[Finding]:
    """What is wrong with the outbox's channels: dead actions, destinations that stopped, what waits too long."""
    pauses = circuit_breaker.all_pauses(engine)
    stopped = [_stopped(pause, settings) for pause in pauses]
    return [*_dead(engine), *stopped, *_too_many(engine, now), *_waiting(engine, settings, now, pauses)]


def is_of_outbox(subject: str) -> bool:
    """Whether a problem is one that `find` sees; every other one is seen by the floor above."""
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
    places = dict.fromkeys((channel, destination, kind == KIND) for channel, destination, kind, *_ in rows)
    findings = []
    for channel, destination, is_of_alerts in places:
        own = [
            row for row in rows if (row[0], row[1], row[2] == KIND) == (channel, destination, is_of_alerts)
        ]
        findings.append(
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
        )
    return findings


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
        next_try_at=pause.until,
        # A system that is back at the first look needs nobody.
        alert_after=AT_ONCE if pause.is_alerted else None,
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
        select(*group, func.count(), func.min(waits_since), func.min(actions.c.next_attempt_at))
        .select_from(actions.outerjoin(attempts, first_failure))
        .where(
            actions.c.status.in_(UNSETTLED),
            waits_since < now - timedelta(minutes=settings.alert_waiting_minutes),
        )
        .group_by(*group)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
        before = open_in(connection)
    findings = [
        Finding(
            f"waiting:{channel}:{destination}",
            f"outbox/{channel}:{WAITING}",
            f"Actions of the {channel} channel wait for more than {settings.alert_waiting_minutes:g} minutes",
            f"{count} for {destination}, the first since {since:%Y-%m-%d %H:%M} UTC"
            + _until(stops.get(f"waiting:{channel}:{destination}")),
            f"Look: aftercall actions --channel {channel} --status retrying (or pending). Is {channel}_sensor on?",
            next_try_at=_next_try(stops.get(f"waiting:{channel}:{destination}"), next_attempt_at),
        )
        for channel, destination, count, since, next_attempt_at in rows
    ]
    # Where the stop is told, the waiting is not, unless it was told before: then it is not over.
    told = {key for key, pause in stops.items() if pause.is_alerted} - before.keys()
    return [finding for finding in findings if finding.key not in told]


def _next_try(pause: Pause | None, next_attempt_at: Any) -> datetime | None:
    return pause.until if pause else next_attempt_at


def _until(pause: Pause | None) -> str:
    return f"; it is tried again at {pause.until:%H:%M} UTC: {pause.reason}" if pause else ""
