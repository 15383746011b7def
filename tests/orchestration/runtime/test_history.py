"""Dagster's history: what a run leaves, what housekeeping removes, and what stays for the UI, sensors and alerts."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)

from orchestration.config import OrchestrationSettings
from orchestration.runtime import clock, history, history_files
from orchestration.runtime import instance as dagster_instance

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@dg.asset
def table() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"note": "x" * 2_000})


@dg.asset
def seldom() -> None:
    """Made once, long ago."""


@dg.asset(partitions_def=DAYS, deps=[table])
def by_day(context: dg.AssetExecutionContext) -> None:
    context.log_event(
        dg.AssetMaterialization("by_day", partition=context.run.tags["day"], description="counted")
    )


@dg.asset_check(asset=table)
def is_right() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, metadata={"note": "x" * 500})


defs = dg.Definitions(
    [table, seldom, by_day],
    asset_checks=[is_right],
    jobs=[
        dg.define_asset_job("often", selection=["table", "by_day"], executor_def=dg.in_process_executor),
        dg.define_asset_job("once", selection=["seldom"], executor_def=dg.in_process_executor),
    ],
)


@pytest.fixture(params=["one file", "a file per run"])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance of a home: with the event log that is the default here, and with Dagster's own."""
    home = tmp_path / "home"
    monkeypatch.setenv("AFTERCALL_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", "")
    config = dagster_instance.prepare(OrchestrationSettings())
    if request.param == "a file per run":
        text = config.read_text()
        start, end = text.index("event_log_storage:"), text.index("run_coordinator:")
        config.write_text(text[:start] + text[end:])
    monkeypatch.setattr(history, "NEWEST", 3)
    with dg.DagsterInstance.get() as opened:
        yield opened


def settings() -> OrchestrationSettings:
    """Limits below the least that may be set, so that few runs are over them."""
    return OrchestrationSettings().model_copy(update={"run_retention_count": 5})


def day(number: int) -> str:
    return f"{FIRST + timedelta(days=number):%Y-%m-%d}"


def run_often(instance: dg.DagsterInstance, first: int, count: int) -> None:
    job = defs.resolve_job_def("often")
    for number in range(first, first + count):
        assert job.execute_in_process(instance=instance, tags={"day": day(number)}).success


def runs(instance: dg.DagsterInstance, job: str) -> int:
    return instance.get_runs_count(dg.RunsFilter(job_name=job))


def disk(folder: Path) -> tuple[int, int]:
    """Bytes and files below a folder, what databases have not written back yet left out."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    ]
    return sum(path.stat().st_size for path in files), len(files)


def test_what_is_old_goes_and_what_is_asked_for_stays(instance: dg.DagsterInstance) -> None:
    assert defs.resolve_job_def("once").execute_in_process(instance=instance).success
    sizes = []
    for round_ in range(3):
        run_often(instance, 6 * round_, 6)
        report = history.prune(instance, settings())
        assert (report.left, report.is_done) == (6, True)
        assert report.removed == (1 if round_ == 0 else 6)
        sizes.append(disk(settings().dagster))
        assert (runs(instance, "often"), runs(instance, "once")) == (5, 1)
    # what is left after 18 runs is what was left after 6, but for the days that are known
    assert sizes[2][0] < sizes[0][0] * 1.1 + 12 * 2_000
    assert sizes[2][1] <= sizes[0][1] + 1
    assert instance.get_materialized_partitions(dg.AssetKey("by_day")) == {day(one) for one in range(18)}
    for asset in (table, seldom):
        event = instance.get_latest_materialization_event(asset.key)
        assert event is not None
        assert instance.get_run_by_id(event.run_id) is not None
    check = dg.AssetCheckKey(table.key, "is_right")
    # the history of a check has as many entries as runs that made it
    executions = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
    assert len(executions) == 5
    assert executions[0].event is not None
    remaining = {run.run_id for run in instance.get_runs()}
    captured = {path.name for path in (settings().dagster / "storage").iterdir()}
    assert captured <= remaining
    assert not list((settings().dagster / "running").glob("*"))
    with sqlite3.connect(settings().dagster / "history" / "runs.db") as connection:
        tagged = {run_id for (run_id,) in connection.execute("select distinct run_id from run_tags")}
    assert tagged <= remaining
    connection.close()


def test_age_removes_but_the_newest_of_each_job(instance: dg.DagsterInstance) -> None:
    run_often(instance, 0, 5)
    a_year = datetime.now(UTC) + timedelta(days=365)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return a_year

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "datetime", Later)
        assert history.is_due(instance, OrchestrationSettings(), "often")
        assert history.prune(instance, OrchestrationSettings()).removed == 2
    assert runs(instance, "often") == history.NEWEST
    assert not history.is_due(instance, OrchestrationSettings(), "often")


def test_while_space_is_short_all_but_the_newest_go(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_often(instance, 0, 5)
    assert not history.is_due(instance, OrchestrationSettings(), "often")
    monkeypatch.setenv("AFTERCALL_LANDING_MIN_FREE_BYTES", str(1 << 60))
    assert history_files.is_space_short(OrchestrationSettings())
    assert history.is_due(instance, OrchestrationSettings(), "often")
    stopped = history.prune(instance, OrchestrationSettings(), is_short=True, most_seconds=0)
    assert (stopped.removed, stopped.is_done) == (0, False)
    assert history.prune(instance, OrchestrationSettings(), is_short=True).removed == 2
    assert runs(instance, "often") == history.NEWEST


def a_sensor(instance: dg.DagsterInstance, now: float) -> InstigatorState:
    """The state of a sensor that looked every ten minutes of the last two days."""
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="tests"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "repository"), "a_sensor")
    state = InstigatorState(
        origin,
        InstigatorType.SENSOR,
        InstigatorStatus.RUNNING,
        SensorInstigatorData(last_tick_timestamp=now, last_tick_start_timestamp=now, cursor="c"),
    )
    instance.add_instigator_state(state)
    for number in range(288):
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                "a_sensor",
                InstigatorType.SENSOR,
                TickStatus.SKIPPED,
                now - number * 600,
                selector_id=state.selector_id,
            )
        )
    return state


def test_ticks_of_sensors_are_kept_for_hours(instance: dg.DagsterInstance) -> None:
    now = time.time()
    state = a_sensor(instance, now)

    def ticks() -> int:
        return len(instance.get_ticks(state.instigator_origin_id, state.selector_id))

    history.prune(instance, OrchestrationSettings())
    assert ticks() == 144
    history.prune(instance, OrchestrationSettings(), is_short=True)
    assert ticks() == 1


def test_a_clock_that_was_set_back_stops_no_sensor(instance: dg.DagsterInstance) -> None:
    """Dagster compares the last look with now, and would wait for a year."""
    now = time.time()
    state = a_sensor(instance, now + 365 * 86_400)
    assert clock.bring_back(instance, now) == 2 + 288
    again = instance.get_instigator_state(state.instigator_origin_id, state.selector_id)
    assert again is not None
    data = again.sensor_instigator_data
    assert data is not None
    assert (data.last_tick_timestamp, data.last_tick_start_timestamp, data.cursor) == (now, now, "c")
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=3)
    assert [tick.timestamp for tick in ticks] == [pytest.approx(now, abs=0.001)] * 3
    assert clock.bring_back(instance, now) == 0


def test_the_watch_notices_a_clock_that_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = clock.ClockWatch()
    assert watch.was_set_back()  # perhaps while nobody looked
    assert not watch.was_set_back()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3_600)
    assert not watch.was_set_back()
    monkeypatch.setattr(time, "time", real)
    assert watch.was_set_back()
    assert not watch.was_set_back()


def test_a_log_is_begun_anew_and_its_writer_goes_on(tmp_path: Path) -> None:
    home = OrchestrationSettings(home=tmp_path, log_max_bytes=4_096)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "receiver.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(1_000):
            writer.write(b"%09d\n" % number)
        assert history_files.give_back(home) > 7_000
        writer.write(b"after\n")
        assert log.read_bytes() == b"after\n"
    older = log.with_name("receiver.log.1").read_bytes().splitlines()
    assert older[-1] == b"%09d" % 999
    assert len(older) == pytest.approx(205, abs=1)
    assert history_files.give_back(home) == 0


def test_an_event_of_a_run_stands_once_and_names_no_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "")
    dagster_instance.prepare(OrchestrationSettings())
    with dg.DagsterInstance.get() as opened:
        run_often(opened, 0, 1)
        (run,) = opened.get_runs()
        events = opened.all_logs(run.run_id)
        materialized = opened.get_latest_materialization_event(table.key)
    assert materialized is not None
    assert materialized.asset_materialization is not None
    assert len(str(materialized.asset_materialization.metadata["note"].value)) == 2_000
    # its own version Dagster compares within a step, and warns when there is none
    assert set(materialized.asset_materialization.tags or {}) == {"dagster/data_version"}
    assert not any("version" in event.user_message for event in events if not event.is_dagster_event)
    with sqlite3.connect(tmp_path / "dagster" / "history" / "event_log.db") as connection:
        stored = [event for (event,) in connection.execute("select event from event_logs")]
        vacuum = connection.execute("pragma auto_vacuum").fetchone()
    connection.close()
    assert len(events) == len(stored)
    assert sum("x" * 2_000 in event for event in stored) == 1
    assert vacuum == (2,)
    assert not list((tmp_path / "dagster" / "history").glob("runs/*.db"))
