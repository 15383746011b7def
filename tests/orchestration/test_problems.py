"""Runs that fail again, sources that fell silent, and what the sensor makes of all problems."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from integrations.config import IntegrationSettings
from integrations.errors import Paused
from integrations.outbox import circuit, open_outbox
from orchestration.config import OrchestrationSettings

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def settings(dagster: dg.DagsterInstance) -> OrchestrationSettings:
    return OrchestrationSettings()


def ran(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus) -> None:
    from orchestration.definitions import defs

    instance.create_run_for_job(defs.resolve_job_def(job), status=status)


def test_a_job_that_failed_twice_in_a_row(dagster: dg.DagsterInstance) -> None:
    from orchestration.problems import failing_runs

    failure, success = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS
    for status in (success, failure):
        ran(dagster, "after_call_pass", status)
    ran(dagster, "crm_channel", failure)
    assert list(failing_runs(dagster)) == []
    ran(dagster, "after_call_pass", dg.DagsterRunStatus.CANCELED)
    ran(dagster, "after_call_pass", failure)
    assert [finding.key for finding in failing_runs(dagster)] == ["runs:after_call_pass"]
    ran(dagster, "after_call_pass", success)
    assert list(failing_runs(dagster)) == []


def publish(settings: OrchestrationSettings, *calls: tuple[str, datetime]) -> None:
    settings.published.parent.mkdir(parents=True, exist_ok=True)
    settings.published.unlink(missing_ok=True)
    with duckdb.connect(str(settings.published)) as copy:
        copy.execute("create table calls (source varchar, started_at timestamp, updated_at timestamp)")
        for source, moment in calls:
            naive = moment.replace(tzinfo=None)
            copy.execute("insert into calls values (?, ?, ?)", [source, naive, naive])


def busy(source: str, *ends: datetime, calls: int = 5) -> list[tuple[str, datetime]]:
    return [(source, end - timedelta(minutes=number)) for end in ends for number in range(calls)]


def test_a_source_is_missed_only_in_an_hour_that_is_busy_in_other_weeks(
    settings: OrchestrationSettings,
) -> None:
    from orchestration.problems import CannotTell, silent_sources

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
    from orchestration.problems import evaluate

    integrations = IntegrationSettings()
    publish(settings, *busy("gone", NOW - WEEK, NOW - 2 * WEEK))
    with open_outbox(integrations.outbox_url) as outbox:
        assert len(evaluate(outbox, settings, integrations, dagster, NOW).opened) == 1
        settings.published.unlink()
        later = evaluate(outbox, settings, integrations, dagster, NOW + timedelta(minutes=1))
        assert (len(later.open), later.resolved) == (1, ())


def test_the_sensor_tells_once_and_shows_it_as_a_check(
    settings: OrchestrationSettings, dagster: dg.DagsterInstance, installation: Any
) -> None:
    from orchestration.resources import Aftercall
    from orchestration.sensors import problem_sensor

    def look(cursor: str | None) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=dagster, cursor=cursor, resources={"aftercall": Aftercall()}
        )
        result = problem_sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def alerts() -> int:
        return len(installation.outbox("select 1 from actions where kind = 'pipeline_alert'"))

    first = look(None)
    assert all(isinstance(one, dg.AssetCheckEvaluation) and one.passed for one in first.asset_events)
    assert len(first.asset_events) == 14
    integrations = IntegrationSettings()
    with open_outbox(integrations.outbox_url) as outbox:
        refused = Paused("401. Look at AFTERCALL_KEY")
        circuit.pause(outbox.engine, "crm", "tryton", refused, datetime.now(UTC), integrations)
        second = look(first.cursor)
        (shown,) = second.asset_events
        assert isinstance(shown, dg.AssetCheckEvaluation)
        assert (shown.asset_key.to_user_string(), shown.check_name, shown.passed) == (
            "outbox/crm", "circuit_closed", False,
        )  # fmt: skip
        assert look(second.cursor).asset_events == []
        assert alerts() == 1
        outbox.resume("crm")
        third = look(second.cursor)
        (shown,) = third.asset_events
        assert isinstance(shown, dg.AssetCheckEvaluation)
        assert (shown.passed, alerts()) == (True, 2)
