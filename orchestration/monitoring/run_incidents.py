"""What is wrong with Dagster's part: runs that fail, sensors that are switched off, events that no pass takes.

Findings only. Who is told, and what else can be wrong, belongs to `orchestration.monitoring.incidents`.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from integrations.config import IntegrationSettings
from integrations.outbox import Finding
from orchestration.config import OrchestrationSettings
from orchestration.defs.assets.channels import CHANNELS, sensor_name
from orchestration.load import cursor
from orchestration.load.pipeline import positions
from receiver.envelope import read_line
from receiver.landing import SegmentDamaged, open_landing

RAW = "raw/call_events"
RUNS = "runs_succeed"
IN_A_ROW = 2
"""So many failures in a row are a matter for a person: the first was tried again by itself."""
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_MOST_RUNS = 50
# A run may be written down as over some time after it was.
_OVERLAP = timedelta(minutes=10)
_SWITCHES = {
    "landing_sensor": ("passes", "Passes are switched off", "New events wait in the landing store."),
    "published_sensor": ("publishing", "Publishing is switched off", "The numbers may stay those of an older pass."),
} | {
    sensor_name(channel): (channel, f"The {channel} channel is switched off", "Its actions wait in the outbox.")
    for channel in CHANNELS
}  # fmt: skip


def failing_runs(
    instance: dg.DagsterInstance, looked_at: datetime | None = None, pause: timedelta | None = None
) -> Iterator[Finding]:
    """Jobs whose last run failed, and rows of failures that ended since the last look.

    So the same is seen whatever the pace of the looks.

    Args:
        instance: Dagster's instance.
        looked_at: when somebody looked last; without it nothing that has ended is seen.
        pause: after so long a sensor starts the job again; None: no daemon does.
    """
    from orchestration.defs.jobs import JOB_NAMES

    # Dagster's own job is for what a person starts by hand, and sees fail.
    for job in JOB_NAMES:
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


def switched_off(instance: dg.DagsterInstance, settings: IntegrationSettings) -> list[Finding]:
    """Sensors that a person has switched off; an alert tells of one that stays off."""
    names = {state.instigator_name for state in instance.all_instigator_state() if not state.is_running}
    return [
        Finding(
            f"paused:{key}",
            f"{RAW}:sensors_run",
            headline,
            f"{sensor} is switched off. {consequence}",
            f"Switch {sensor} on again in the Dagster UI, below Automation.",
            alert_after=timedelta(minutes=settings.alert_waiting_minutes),
        )
        for sensor, (key, headline, consequence) in _SWITCHES.items()
        if sensor in names
    ]


def events_that_wait(
    settings: OrchestrationSettings, integrations: IntegrationSettings, now: datetime
) -> list[Finding]:
    """A finding if the oldest event that no pass has loaded waits for longer than an action may."""
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
    """Receipt of the first event that no load has taken, UTC; None if all are loaded."""
    store = open_landing(settings.home)
    for segment, position in cursor.unread(store, positions(settings)):
        try:
            line, end, _ = store.read(segment.path, position, 1 << 16).data.partition(b"\n")
        except (FileNotFoundError, SegmentDamaged):
            continue
        event = read_line(line) if end else None
        if event is not None:
            return event.received_at
    return None
