"""What is wrong with the whole: findings of the outbox, runs, sensors, the receiver, silent sources, quarantine.

One function looks into everything and has the ledger tell what begins and what is over. A sensor calls it every minute,
and so does `aftercall run`. The warehouse stays closed: what is usual for a source is read from the published copy.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb

from integrations import receiver_watch
from integrations.config import IntegrationSettings
from integrations.outbox import Finding, Outbox, Reconciled
from orchestration.config import OrchestrationSettings
from orchestration.load.held import HeldEvent, noticed
from orchestration.load.pipeline import landing_backlog
from orchestration.monitoring.run_incidents import RAW, RUNS, events_that_wait, failing_runs, switched_off
from orchestration.warehouse import publish
from receiver.config import ReceiverSettings

__all__ = ["ASIDE", "RAW", "RUNS", "SOURCES", "CannotTell", "evaluate", "failing_runs", "silent_sources"]
SOURCES, ASIDE = "busy_sources_are_heard", "no_event_is_set_aside"
SILENT = "silent:"
# The same hour of the same weekday: a shop that is closed on Sundays is not missed on one.
_USUAL = (timedelta(days=7), timedelta(days=14))
_HOUR = timedelta(hours=1)
_NAMED = 5
_CALLS = """
    select source, count(*) filter (where started_at > ?::timestamp and started_at <= ?::timestamp)
    from calls group by source
"""
_HEARD = "select source, max(updated_at) from calls group by source"


def evaluate(
    outbox: Outbox,
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    instance: dg.DagsterInstance,
    now: datetime,
    *,
    is_service: bool = False,
) -> Reconciled:
    """Look into everything; open, tell and resolve.

    Args:
        outbox: the ledger, where problems are.
        settings: those of orchestration.
        integrations: whom alerts go to, and after how long.
        instance: Dagster's instance.
        now: aware.
        is_service: whether Dagster's daemon looks, so that the receiver has to be there and runs start by themselves.

    Raises:
        BadAlerts: if the settings of alerts cannot be followed.
    """
    look = outbox.last_look()
    pause = timedelta(seconds=settings.failed_run_pause_seconds) if is_service else None
    findings = [
        *outbox.findings(integrations, now),
        *failing_runs(instance, look.at if look else None, pause),
        *switched_off(instance, integrations),
        *events_that_wait(settings, integrations, now),
        *events_set_aside(settings),
    ]
    notes = dict(look.notes) if look else {}
    unsure = []
    if is_service:
        findings += _of_receiver(notes, now)
    else:
        unsure += [receiver_watch.RECEIVER, receiver_watch.REFUSED]
    try:
        findings += silent_sources(settings, integrations, now)
    except CannotTell:
        unsure.append(SILENT)
    reconciled = outbox.reconcile(findings, integrations, now, unsure)
    outbox.record_look(now, [one for one in findings if one.over_at is None], notes)
    return reconciled


def _of_receiver(notes: dict[str, Any], now: datetime) -> list[Finding]:
    """What the receiver says of itself; what it has counted until now goes into the notes for the next look."""
    bind = ReceiverSettings().receiver_bind
    samples = receiver_watch.from_json(notes.get("receiver"))
    if (newest := receiver_watch.sample(bind, now)) is not None:
        samples = receiver_watch.watched(samples, newest)
        notes["receiver"] = receiver_watch.to_json(samples)
    return [*receiver_watch.receiver_findings(bind), *receiver_watch.refused_webhooks(samples)]


def events_set_aside(settings: OrchestrationSettings) -> Iterator[Finding]:
    """Events that alone broke a build and are in no number and no action; one finding per build that they broke."""
    batches: dict[str, list[HeldEvent]] = defaultdict(list)
    for event in noticed(settings):
        batches[event.quarantined_at].append(event)
    for moment, events in batches.items():
        named = "; ".join(
            f"{event.source} {event.event_type} of call {event.call_id or 'unknown'} ({event.reason})"
            for event in events[:_NAMED]
        )
        others = f"; and {len(events) - _NAMED} more" if len(events) > _NAMED else ""
        yield Finding(
            f"quarantine:{moment}",
            f"{RAW}:{ASIDE}",
            f"{len(events)} event{'s are' if len(events) > 1 else ' is'} set aside",
            f"Each alone breaks the build: {named}{others}",
            "Nothing is lost. To see them: aftercall quarantine list. To bring them back, after an update: "
            "aftercall quarantine release",
        )


class CannotTell(Exception):
    """The published copy is not there, or not of now."""


def silent_sources(
    settings: OrchestrationSettings, integrations: IntegrationSettings, now: datetime
) -> list[Finding]:
    """Sources that said nothing for an hour in which they had calls one week and two weeks ago.

    Raises:
        CannotTell: while something waits to be loaded or published.
    """
    least = integrations.alert_silence_calls
    if not least:
        return []
    if not settings.published.exists() or publish.is_behind(settings) or landing_backlog(settings):
        raise CannotTell
    try:
        with duckdb.connect(str(settings.published), read_only=True) as copy:
            heard = dict(copy.execute(_HEARD).fetchall())
            usual = [dict(copy.execute(_CALLS, _window(now - ago)).fetchall()) for ago in _USUAL]
    except duckdb.Error as error:
        raise CannotTell from error
    return [
        Finding(
            f"{SILENT}{source}",
            f"{RAW}:{SOURCES}",
            f"Nothing is heard of {source}",
            f"The last event came at {last:%Y-%m-%d %H:%M} UTC; in this hour of the two weeks before it had "
            f"{' and '.join(str(week[source]) for week in usual)} calls.",
            "Is the platform's webhook still set to the receiver, and is the receiver reachable from there?",
        )
        for source, last in heard.items()
        if last.replace(tzinfo=UTC) < now - _HOUR and all(week[source] >= least for week in usual)
    ]


def _window(end: datetime) -> list[datetime]:
    naive = end.astimezone(UTC).replace(tzinfo=None)
    return [naive - _HOUR, naive]
