"""Removes old runs with their events and logs, and ticks, by number and age.

What the UI, sensors and alerts read stays at any age: the newest runs of each job, the last run of each asset, the
last result of each check, and the materialised days. All of it goes through Dagster's storages, so it works for SQLite
and Postgres; `history_files.py` handles files.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
)
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import BACKFILL_ID_TAG

from orchestration.config import OrchestrationSettings
from orchestration.runtime import history_files, running

LOG = logging.getLogger("aftercall.history")
NEWEST = 10
"""Runs of a job that stay at any age, also while space is short."""
_PAGE = 1_000
_NO_RUN = ""
_TICKS_WHILE_SHORT = timedelta(minutes=10)
_MATERIALIZED = Events.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
_EVALUATED = Events.c.dagster_event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION.value


@dataclass(frozen=True)
class PruneReport:
    """Runs removed and left, bytes freed, seconds taken; `is_done`: nothing remains to be removed."""

    removed: int
    left: int
    freed_bytes: int
    seconds: float
    is_done: bool


def is_due(instance: dg.DagsterInstance, settings: OrchestrationSettings, job: str) -> bool:
    """True if `prune` is worth its time, judged by one job; for callers without a schedule."""
    finished = dg.RunsFilter(job_name=job, statuses=FINISHED_STATUSES)
    count = instance.get_runs_count(finished)
    if count > settings.run_retention_count * 1.1 or history_files.is_space_short(settings):
        return True
    oldest = instance.get_run_records(finished, limit=1, ascending=True)
    return count > NEWEST and oldest[0].create_timestamp < _too_old(settings) - timedelta(days=1)


def prune(
    instance: dg.DagsterInstance,
    settings: OrchestrationSettings,
    is_short: bool = False,
    most_seconds: float = float("inf"),
) -> PruneReport:
    """Remove what exceeds the limits; while space `is_short`, all but the newest. Stops after `most_seconds`."""
    started = time.monotonic()
    history_files.clear_orphans(instance, settings)
    left, surplus = _split(instance, settings, is_short)
    removed = 0
    for run_id in surplus:
        if time.monotonic() - started > most_seconds:
            break
        _remove_run(instance, settings, run_id)
        removed += 1
    _remove_leftovers(instance, settings)
    _purge_ticks(instance, settings, is_short)
    freed = history_files.give_back(settings)
    return PruneReport(
        removed, left + len(surplus) - removed, freed, time.monotonic() - started, removed == len(surplus)
    )


def _too_old(settings: OrchestrationSettings) -> datetime:
    return datetime.now(UTC) - timedelta(days=settings.run_retention_days)


def _split(
    instance: dg.DagsterInstance, settings: OrchestrationSettings, is_short: bool
) -> tuple[int, list[str]]:
    """The number of finished runs that stay, and the ids of the others, oldest first."""
    needed, backfills, too_old = _runs_of_assets(instance), _open_backfills(instance), _too_old(settings)
    most = NEWEST if is_short else max(settings.run_retention_count, NEWEST)
    of_job, surplus, left = Counter[str](), list[str](), 0
    cursor = None
    while True:
        records = instance.get_run_records(
            dg.RunsFilter(statuses=FINISHED_STATUSES), limit=_PAGE, cursor=cursor
        )
        for record in records:
            run = record.dagster_run
            of_job[run.job_name] += 1
            number = of_job[run.job_name]
            is_over = number > most or (number > NEWEST and record.create_timestamp < too_old)
            if is_over and run.run_id not in needed and run.tags.get(BACKFILL_ID_TAG) not in backfills:
                surplus.append(run.run_id)
            else:
                left += 1
        if len(records) < _PAGE:
            return left, surplus[::-1]
        cursor = records[-1].dagster_run.run_id


def _open_backfills(instance: dg.DagsterInstance) -> set[str]:
    """The unfinished backfills; each needs its runs."""
    under_way = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    return {one.backfill_id for one in instance.get_backfills(filters=BulkActionsFilter(statuses=under_way))}


def _runs_of_assets(instance: dg.DagsterInstance) -> set[str]:
    """The runs that materialised an asset last, or are about to."""
    needed = set()
    for record in instance.event_log_storage.get_asset_records():
        entry = record.asset_entry
        needed |= {run_id for run_id in (entry.last_run_id, _run_of(entry.last_materialization)) if run_id}
    return needed


def _run_of(event: dg.EventLogEntry | None) -> str | None:
    return event.run_id if event is not None else None


def _remove_run(instance: dg.DagsterInstance, settings: OrchestrationSettings, run_id: str) -> None:
    """Remove a run with its events and logs, except the events that show a day as materialised."""
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(
                sa.update(Events)
                .where(Events.c.run_id == run_id, _MATERIALIZED, Events.c.partition.is_not(None))
                .values(run_id=_NO_RUN)
            )
    instance.delete_run(run_id)
    history_files.remove_run(instance, settings, run_id)
    running.sweep(settings.dagster, {run_id})


def _remove_leftovers(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> None:
    """Remove rows that deleted runs left in other tables, and old reports of sensors."""
    storage, runs = instance.event_log_storage, instance.run_storage
    if isinstance(runs, SqlRunStorage):
        with runs.connect() as connection:
            connection.execute(sa.delete(RunTagsTable).where(RunTagsTable.c.run_id.not_in(_ids())))
            known = {str(run_id) for run_id in connection.execute(_ids()).scalars()}
    else:
        known = {str(run_id) for run_id in instance.get_run_ids()}
    if not isinstance(storage, SqlEventLogStorage):
        return
    too_old = _too_old(settings).replace(tzinfo=None)
    with storage.index_connection() as connection:
        last = sa.select(sa.func.max(Checks.c.id)).group_by(Checks.c.asset_key, Checks.c.check_name)
        stale = sa.select(Checks.c.run_id).where(Checks.c.id.not_in(last)).distinct()
        left: Iterable[str | None] = connection.execute(stale).scalars()
        gone = [name for name in left if name not in known]
        for run_id in gone:
            is_of_run = Checks.c.run_id == run_id if run_id else Checks.c.evaluation_event_timestamp < too_old
            connection.execute(sa.delete(Checks).where(is_of_run, Checks.c.id.not_in(last)))
        newest = (
            sa.select(sa.func.max(Events.c.id))
            .where(_MATERIALIZED, Events.c.partition.is_not(None))
            .group_by(Events.c.asset_key, Events.c.partition)
        )
        without_run = Events.c.run_id == _NO_RUN
        connection.execute(
            sa.delete(Events).where(
                without_run, _MATERIALIZED, Events.c.partition.is_not(None), Events.c.id.not_in(newest)
            )
        )
        connection.execute(sa.delete(Events).where(without_run, _EVALUATED, Events.c.timestamp < too_old))


def _ids() -> sa.Select[tuple[str]]:
    return sa.select(RunsTable.c.run_id)


def _purge_ticks(instance: dg.DagsterInstance, settings: OrchestrationSettings, is_short: bool) -> None:
    """Remove old ticks. A schedule's are few and record its last run; a sensor's are some 60,000 per day."""
    if instance.schedule_storage is None:
        return
    now = datetime.now(UTC)
    of_sensors = now - (_TICKS_WHILE_SHORT if is_short else timedelta(hours=settings.tick_retention_hours))
    for state in instance.all_instigator_state():
        before = of_sensors if state.instigator_type is InstigatorType.SENSOR else _too_old(settings)
        instance.purge_ticks(
            state.instigator_origin_id,
            state.selector_id,
            before=before.timestamp(),
            tick_statuses=[status for status in TickStatus if status is not TickStatus.STARTED],
        )
