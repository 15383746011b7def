"""Every open incident: of the outbox, runs, sensors, the receiver, waiting events, silent sources, quarantine.

`evaluate` looks for all of them and has the outbox open, alert and resolve each once. A sensor calls it every minute,
`aftercall run` after each pass. The warehouse stays closed: the published copy says what is usual for a source.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from integrations import receiver_watch
from integrations.config import IntegrationSettings
from integrations.outbox import Finding, Outbox, Reconciled
from orchestration.config import OrchestrationSettings
from orchestration.load import cursor
from orchestration.load.pipeline import landing_backlog, positions
from orchestration.load.quarantined import QuarantinedEvent, noticed
from orchestration.monitoring.paused_sensors import switched_off
from orchestration.warehouse import WarehouseError, open_warehouse, publish
from receiver.config import ReceiverSettings
from receiver.envelope import read_line
from receiver.landing import SegmentDamaged, open_landing

RAW = "raw/call_events"
RUNS, SOURCES, ASIDE = "runs_succeed", "busy_sources_are_heard", "no_event_is_set_aside"
IN_A_ROW = 2
"""Failures in a row that need a person: a single one is retried by itself."""
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_MOST_RUNS = 50
# Dagster may record the end of a run some time after it ended.
_OVERLAP = timedelta(minutes=10)
SILENT = "silent:"
# The same hour of the same weekday, so that a shop which is closed on Sundays is not missed on one.
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
    job_names: Collection[str],
    now: datetime,
    *,
    is_service: bool = False,
) -> Reconciled:
    """The incidents after this look: new ones are opened and alerted, those that are over are resolved.

    Args:
        outbox: where incidents are recorded.
        settings: those of the load and the build.
        integrations: the recipients of alerts, and the delays before them.
        instance: Dagster's instance.
        job_names: the jobs whose runs are looked at.
        now: aware.
        is_service: True under Dagster's daemon, where the receiver must be up and sensors start runs.

    Raises:
        BadAlerts: if the settings of alerts cannot be followed.
    """
    look = outbox.last_look()
    pause = timedelta(seconds=settings.failed_run_pause_seconds) if is_service else None
    findings = [
        *outbox.findings(integrations, now),
        *failing_runs(instance, job_names, look.at if look else None, pause),
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
    """Findings about the receiver; its counts go into `notes` for the next look."""
    bind = ReceiverSettings().receiver_bind
    samples = receiver_watch.from_json(notes.get("receiver"))
    if (newest := receiver_watch.sample(bind, now)) is not None:
        samples = receiver_watch.watched(samples, newest)
        notes["receiver"] = receiver_watch.to_json(samples)
    return [*receiver_watch.receiver_findings(bind), *receiver_watch.refused_webhooks(samples)]


def failing_runs(
    instance: dg.DagsterInstance,
    job_names: Iterable[str],
    looked_at: datetime | None = None,
    pause: timedelta | None = None,
) -> Iterator[Finding]:
    """A finding per job whose last run failed, and per row of failures that ended since the last look.

    The findings are therefore the same however often somebody looks.

    Args:
        instance: Dagster's instance.
        job_names: the jobs of the code location; Dagster's own `__ASSET_JOB` is for what a person starts and watches.
        looked_at: when somebody looked last; None: rows that have ended are left out.
        pause: after so long a sensor starts the job again; None: no daemon does.
    """
    for job in (name for name in job_names if not name.startswith("__")):
        yield from _of_job(instance, job, looked_at and looked_at - _OVERLAP, pause)


def _of_job(
    instance: dg.DagsterInstance, job: str, since: datetime | None, pause: timedelta | None
) -> Iterator[Finding]:
    over = dg.RunsFilter(job_name=job, statuses=_OVER)
    newest = instance.get_run_records(over, limit=1)
    if not newest or (not _failed(newest[0]) and (since is None or _ended_at(newest[0]) < since)):
        return
    row: list[dg.RunRecord] = []
    for record in reversed(instance.get_run_records(over, limit=_MOST_RUNS)):
        if _failed(record):
            row.append(record)
            continue
        if len(row) >= IN_A_ROW and since is not None and _ended_at(record) >= since:
            yield _finding(instance, job, row, over_at=_ended_at(record))
        row = []
    if row:
        next_try_at = _ended_at(row[-1]) + pause if pause is not None else None
        yield _finding(instance, job, row, next_try_at=next_try_at)


def _finding(
    instance: dg.DagsterInstance,
    job: str,
    row: Sequence[dg.RunRecord],
    over_at: datetime | None = None,
    next_try_at: datetime | None = None,
) -> Finding:
    last = row[-1].dagster_run.run_id
    steps = sorted({entry.step_key for entry in instance.all_logs(last, of_type=dg.DagsterEventType.STEP_FAILURE)
                    if entry.step_key})  # fmt: skip
    count = "The last run" if len(row) == 1 else f"{len(row)} runs in a row"
    where = f", the last of them at {', '.join(steps)}" if steps else ""
    return Finding(
        f"runs:{job}",
        f"{RAW}:{RUNS}",
        f"Runs of {job} fail",
        f"{count} failed{where}: {' '.join(record.dagster_run.run_id[:8] for record in row[-3:])}",
        "Open the run in the Dagster UI; nothing is lost, a new run goes on where it stopped.",
        next_try_at=next_try_at,
        alert_after=timedelta(0) if len(row) >= IN_A_ROW else None,
        since=_ended_at(row[0]),
        over_at=over_at,
    )


def _failed(record: dg.RunRecord) -> bool:
    return record.dagster_run.status is dg.DagsterRunStatus.FAILURE


def _ended_at(record: dg.RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    return record.update_timestamp.replace(tzinfo=record.update_timestamp.tzinfo or UTC)


def events_that_wait(
    settings: OrchestrationSettings, integrations: IntegrationSettings, now: datetime
) -> list[Finding]:
    """A finding if the oldest unloaded event has waited for longer than an action may."""
    since = oldest_unloaded(settings)
    if since is None or now - since < timedelta(minutes=integrations.alert_waiting_minutes):
        return []
    return [
        Finding(
            "waiting:passes",
            f"{RAW}:events_are_loaded",
            "Events wait to be processed",
            f"The first of them came at {since:%Y-%m-%d %H:%M} UTC, and no pass has loaded it.",
            "Is a pass at work in the Dagster UI? Is landing_sensor on, and the daemon running? "
            "aftercall run makes a pass.",
        )
    ]


def oldest_unloaded(settings: OrchestrationSettings) -> datetime | None:
    """The time (UTC) at which the first unloaded event was received; None if all are loaded."""
    store = open_landing(settings.landing)
    for segment, position in cursor.unread(store, positions(settings)):
        try:
            line, end, _ = store.read(segment.path, position, 1 << 16).data.partition(b"\n")
        except (FileNotFoundError, SegmentDamaged):
            continue
        event = read_line(line) if end else None
        if event is not None:
            return event.received_at
    return None


def events_set_aside(settings: OrchestrationSettings) -> Iterator[Finding]:
    """A finding per broken build, for the events set aside because each alone broke it."""
    batches: dict[str, list[QuarantinedEvent]] = defaultdict(list)
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
    """There is no published copy, or it is not up to date."""


def silent_sources(
    settings: OrchestrationSettings, integrations: IntegrationSettings, now: datetime
) -> list[Finding]:
    """A finding per source without a call for an hour in which it had calls one week and two weeks ago.

    Raises:
        CannotTell: while something waits to be loaded or published.
    """
    least = integrations.alert_silence_calls
    if not least:
        return []
    if publish.is_behind(settings) or landing_backlog(settings):
        raise CannotTell
    try:
        with open_warehouse(settings).published.connect() as copy:
            heard = dict(copy.rows(_HEARD))
            usual = [dict(copy.rows(_CALLS, _window(now - ago))) for ago in _USUAL]
    except WarehouseError as error:
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
