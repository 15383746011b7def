"""Runs that fail again, sources that fell silent, and what the sensor makes of all problems."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData

from integrations.config import IntegrationSettings
from integrations.errors import DestinationUnavailable
from integrations.outbox import AttentionItem, circuit_breaker, open_outbox
from orchestration.config import OrchestrationSettings
from tests.conftest import Installation, Receiver
from tests.orchestration.conftest import Land
from tests.warehouse_files import published_file

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
JOBS = ("after_call_pass", "complete_pass", "__ASSET_JOB")


@pytest.fixture
def settings(dagster: dg.DagsterInstance) -> OrchestrationSettings:
    return OrchestrationSettings()


END_OF = {
    dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.PIPELINE_SUCCESS,
    dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.PIPELINE_FAILURE,
    dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.PIPELINE_CANCELED,
}
FAILURE, SUCCESS, CANCELED = (
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.CANCELED,
)


def ran(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus) -> None:
    """A run of a job of that name that ends now; an empty job, as only its end counts."""

    @dg.job(name=job)
    def empty() -> None:
        pass

    run = instance.create_run_for_job(empty, status=dg.DagsterRunStatus.STARTED)
    instance.report_dagster_event(dg.DagsterEvent(END_OF[status].value, job), run.run_id)


def look(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> None:
    from orchestration.monitoring.incidents import evaluate

    integrations = IntegrationSettings()
    with open_outbox(integrations.outbox_url) as outbox:
        evaluate(outbox, settings, integrations, instance, JOBS, datetime.now(UTC))


def items(settings: OrchestrationSettings) -> list[AttentionItem]:
    """What needs attention, but that nobody looked, which is not asked here."""
    integrations = IntegrationSettings(alert_look_minutes=0)
    with open_outbox(integrations.outbox_url) as outbox:
        return list(outbox.needs_attention(integrations, datetime.now(UTC)).items)


def alerts() -> list[str]:
    """Headlines of all alerts, in the order of what they tell of."""
    with open_outbox(IntegrationSettings().outbox_url) as outbox:
        sent = outbox.actions(kind="pipeline_alert", limit=1000)
    return [str(alert.payload["headline"]) for alert in sorted(sent, key=lambda alert: alert.action_key)]


def test_a_job_that_failed_is_listed_and_one_that_failed_twice_in_a_row_is_told(
    dagster: dg.DagsterInstance, settings: OrchestrationSettings
) -> None:
    for status in (SUCCESS, FAILURE):
        ran(dagster, "after_call_pass", status)
    look(dagster, settings)
    assert [(item.key, item.is_urgent) for item in items(settings)] == [("runs:after_call_pass", False)]
    assert alerts() == []
    ran(dagster, "after_call_pass", CANCELED)
    ran(dagster, "after_call_pass", FAILURE)
    look(dagster, settings)
    (item,) = items(settings)
    assert (item.key, item.is_urgent) == ("runs:after_call_pass", True)
    assert "2 runs in a row failed" in item.details
    assert alerts() == ["Runs of after_call_pass fail"]
    ran(dagster, "after_call_pass", SUCCESS)
    look(dagster, settings)
    assert items(settings) == []
    assert alerts() == ["Runs of after_call_pass fail", "Resolved: Runs of after_call_pass fail"]


HISTORY = (SUCCESS, FAILURE, FAILURE, FAILURE, SUCCESS, FAILURE, SUCCESS, FAILURE, FAILURE, SUCCESS, SUCCESS)
"""A pass that failed with its retries, one whose retry went well, and one that failed twice."""


@pytest.mark.parametrize("looks", [(), range(1, len(HISTORY)), (2, 3, 7), (6, 9)])
def test_what_failed_twice_in_a_row_is_told_once_whatever_the_pace_of_the_looks(
    dagster: dg.DagsterInstance, settings: OrchestrationSettings, looks: Sequence[int]
) -> None:
    """`looks`: after how many runs somebody looks, besides before the first and after the last."""
    look(dagster, settings)
    for number, status in enumerate(HISTORY, 1):
        ran(dagster, "after_call_pass", status)
        if number in looks:
            look(dagster, settings)
    for _ in range(2):
        look(dagster, settings)
        assert alerts() == ["Runs of after_call_pass fail", "Resolved: Runs of after_call_pass fail"] * 2
        assert items(settings) == []


def test_what_failed_before_anybody_looked_is_history(
    dagster: dg.DagsterInstance, settings: OrchestrationSettings
) -> None:
    for status in (FAILURE, FAILURE, SUCCESS):
        ran(dagster, "after_call_pass", status)
    look(dagster, settings)
    assert (items(settings), alerts()) == ([], [])


def test_a_sensor_that_is_switched_off_is_listed_at_once_and_told_when_it_stays_off(
    dagster: dg.DagsterInstance, settings: OrchestrationSettings
) -> None:
    from orchestration.monitoring.incidents import evaluate

    integrations = IntegrationSettings(alert_look_minutes=0)
    for sensor in ("crm_sensor", "landing_sensor", "problem_sensor"):
        switch_off(dagster, sensor)
    now = datetime.now(UTC)
    with open_outbox(integrations.outbox_url) as outbox:
        for minutes, told in ((0, 0), (29, 0), (31, 2)):
            evaluate(outbox, settings, integrations, dagster, JOBS, now + timedelta(minutes=minutes))
            listed = outbox.needs_attention(integrations, now).items
            assert [(item.key, item.is_urgent) for item in listed] == [
                ("paused:crm", bool(told)), ("paused:passes", bool(told)),
            ]  # fmt: skip
            assert len(alerts()) == told
    assert "crm_sensor" in listed[0].details
    assert "crm_sensor" in listed[0].remedy


def switch_off(instance: dg.DagsterInstance, name: str) -> None:
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("aftercall"), "__repository__")
    origin = RemoteInstigatorOrigin(repository, name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, SensorInstigatorData())
    instance.add_instigator_state(state)


def test_events_that_no_pass_takes_are_told(
    dagster: dg.DagsterInstance, settings: OrchestrationSettings, land: Land
) -> None:
    from orchestration.monitoring.incidents import evaluate, oldest_unloaded

    first = min(delivery.at for delivery in land(settings.home))
    assert oldest_unloaded(settings) == first
    integrations = IntegrationSettings()
    with open_outbox(integrations.outbox_url) as outbox:
        for minutes, keys in ((29, []), (31, ["waiting:passes"])):
            now = first + timedelta(minutes=minutes)
            found = evaluate(outbox, settings, integrations, dagster, JOBS, now).open
            assert [problem.key for problem in found] == keys


def publish(settings: OrchestrationSettings, *calls: tuple[str, datetime]) -> None:
    published_file(settings).parent.mkdir(parents=True, exist_ok=True)
    published_file(settings).unlink(missing_ok=True)
    with duckdb.connect(str(published_file(settings))) as copy:
        copy.execute("create table calls (source varchar, started_at timestamp, updated_at timestamp)")
        for source, moment in calls:
            naive = moment.replace(tzinfo=None)
            copy.execute("insert into calls values (?, ?, ?)", [source, naive, naive])


def busy(source: str, *ends: datetime, calls: int = 5) -> list[tuple[str, datetime]]:
    return [(source, end - timedelta(minutes=number)) for end in ends for number in range(calls)]


def test_a_source_is_missed_only_in_an_hour_that_is_busy_in_other_weeks(
    settings: OrchestrationSettings,
) -> None:
    from orchestration.monitoring.incidents import CannotTell, silent_sources

    with pytest.raises(CannotTell):
        silent_sources(settings, IntegrationSettings(), NOW)
    publish(
        settings,
        *busy("gone", NOW - WEEK, NOW - 2 * WEEK),
        *busy("here", NOW - WEEK, NOW - 2 * WEEK),
        ("here", NOW - timedelta(minutes=59)),
        *busy("new", NOW - WEEK),
        *busy("quiet", NOW - WEEK, NOW - 2 * WEEK, calls=4),
        *busy("at_night", NOW - WEEK - timedelta(hours=9), NOW - 2 * WEEK - timedelta(hours=9)),
    )
    (finding,) = silent_sources(settings, IntegrationSettings(), NOW)
    assert (finding.key, finding.headline) == ("silent:gone", "Nothing is heard of gone")
    assert "2026-11-16 10:30 UTC" in finding.details
    assert silent_sources(settings, IntegrationSettings(alert_silence_calls=0), NOW) == []


def test_what_cannot_be_told_now_stays_as_it_is(
    settings: OrchestrationSettings, dagster: dg.DagsterInstance
) -> None:
    from orchestration.monitoring.incidents import evaluate

    integrations = IntegrationSettings()
    publish(settings, *busy("gone", NOW - WEEK, NOW - 2 * WEEK))
    with open_outbox(integrations.outbox_url) as outbox:
        assert len(evaluate(outbox, settings, integrations, dagster, JOBS, NOW).opened) == 1
        published_file(settings).unlink()
        later = evaluate(outbox, settings, integrations, dagster, JOBS, NOW + timedelta(minutes=1))
        assert (len(later.open), later.resolved) == (1, ())


def test_the_sensor_tells_once_and_shows_it_as_a_check(
    settings: OrchestrationSettings, dagster: dg.DagsterInstance, installation: Any
) -> None:
    from orchestration.definitions import defs
    from orchestration.defs.resources import resources
    from orchestration.defs.sensors import problem_sensor

    def sensed(cursor: str | None) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=dagster,
            cursor=cursor,
            resources=resources(),
            repository_def=defs.get_repository_def(),
        ) as context:
            result = problem_sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def alerts() -> int:
        return len(installation.outbox("select 1 from actions where kind = 'pipeline_alert'"))

    first = sensed(None)
    assert all(isinstance(one, dg.AssetCheckEvaluation) and one.passed for one in first.asset_events)
    assert len(first.asset_events) == 15
    integrations = IntegrationSettings()
    with open_outbox(integrations.outbox_url) as outbox:
        refused = DestinationUnavailable("401. Look at AFTERCALL_KEY")
        circuit_breaker.pause(outbox.engine, "crm", "tryton", refused, datetime.now(UTC), integrations)
        second = sensed(first.cursor)
        (shown,) = second.asset_events
        assert isinstance(shown, dg.AssetCheckEvaluation)
        assert (shown.asset_key.to_user_string(), shown.check_name, shown.passed) == (
            "outbox/crm", "circuit_closed", False,
        )  # fmt: skip
        assert sensed(second.cursor).asset_events == []
        assert alerts() == 1
        outbox.resume("crm")
        third = sensed(second.cursor)
        (shown,) = third.asset_events
        assert isinstance(shown, dg.AssetCheckEvaluation)
        assert (shown.passed, alerts()) == (True, 2)


def test_the_daemon_tells_of_a_receiver_that_stays_down_and_a_run_by_hand_does_not(
    settings: OrchestrationSettings,
    dagster: dg.DagsterInstance,
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orchestration.monitoring.incidents import evaluate

    monkeypatch.setenv("AFTERCALL_RECEIVER_BIND", f"127.0.0.1:{installation.port}")
    integrations = IntegrationSettings()

    def open_at(minutes: float, *, is_service: bool = True) -> list[str]:
        now = NOW + timedelta(minutes=minutes)
        found = evaluate(outbox, settings, integrations, dagster, JOBS, now, is_service=is_service).open
        return [problem.key for problem in found if problem.alerted_at]

    with open_outbox(integrations.outbox_url) as outbox:
        assert open_at(0, is_service=False) == open_at(1) == []
        assert open_at(1.5, is_service=False) == []
        assert open_at(2) == open_at(3, is_service=False) == ["receiver"]
        with Receiver(installation):
            assert open_at(4, is_service=False) == ["receiver"]
            assert open_at(5) == []
    assert alerts() == ["The receiver does not answer", "Resolved: The receiver does not answer"]
