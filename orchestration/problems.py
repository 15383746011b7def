"""What is wrong with the whole: the outbox's findings, failing runs, silent busy sources, events that are set aside.

One function looks into everything and has the ledger tell what begins and what is over. A sensor calls it every minute,
and so does `aftercall run`. The warehouse stays closed: what is usual for a source is read from the published copy.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb

from integrations.config import IntegrationSettings
from integrations.outbox import Finding, Outbox, problems
from orchestration import publish
from orchestration.config import OrchestrationSettings
from orchestration.load.held import HeldEvent, noticed
from orchestration.load.pipeline import landing_backlog

RAW = "raw/call_events"
RUNS, SOURCES, ASIDE = "runs_succeed", "busy_sources_are_heard", "no_event_is_set_aside"
SILENT = "silent:"
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
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
) -> problems.Reconciled:
    """Look into everything; open, tell and resolve. Raises BadAlerts if the settings of alerts cannot be followed."""
    findings = [
        *problems.find(outbox.engine, integrations, now),
        *failing_runs(instance),
        *events_set_aside(settings),
    ]
    unsure = []
    try:
        findings += silent_sources(settings, integrations, now)
    except CannotTell:
        unsure.append(SILENT)
    return problems.reconcile(outbox.engine, findings, integrations, now, unsure)


def failing_runs(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Jobs whose last two runs failed: one that failed once was, or will be, tried again by itself."""
    from orchestration.definitions import defs

    # Dagster's own job is for what a person starts by hand, and sees fail.
    for job in (job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")):
        over = dg.RunsFilter(job_name=job.name, statuses=_OVER)
        last = instance.get_run_records(over, limit=2)
        if len(last) == 2 and all(one.dagster_run.status is dg.DagsterRunStatus.FAILURE for one in last):
            ids = " and ".join(one.dagster_run.run_id[:8] for one in last)
            yield Finding(
                f"runs:{job.name}",
                f"{RAW}:{RUNS}",
                f"Runs of {job.name} fail",
                f"The last two failed: {ids}",
                "Open the run in the Dagster UI; nothing is lost, a new run goes on where it stopped.",
            )


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
