"""Recovery as Dagster sees it: a check that names the days, a day as a partition, a schedule that needs a key."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.defs.assets.recovery import LOSS, history_asset, recovery_asset
from orchestration.defs.resources import resources
from orchestration.defs.schedules import recovery_schedule
from tests.orchestration.recovery.apis import ListApi
from tests.orchestration.recovery.conftest import KEY, Landed

DAY = (datetime.now(UTC) - timedelta(days=40)).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, settings: OrchestrationSettings, api: ListApi) -> None:
    monkeypatch.setenv("AFTERCALL_HOME", str(settings.home))
    monkeypatch.setenv("AFTERCALL_API_KEY_ATOMS", KEY)
    monkeypatch.setenv("AFTERCALL_API_URL_ATOMS", api.url)
    monkeypatch.setenv("AFTERCALL_RECOVERY_ATTEMPTS", "1")


def test_the_check_names_source_and_day(api: ListApi, landed: Landed) -> None:
    lost = datetime.now(UTC) - timedelta(hours=3)
    api.calls = [api.dialect.call(1, lost, 60)]
    result = dg.materialize([recovery_asset("atoms")], resources=resources())
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == (LOSS, False, dg.AssetCheckSeverity.WARN)
    assert f"atoms sent no webhook, or not every one, of {lost:%Y-%m-%d}: 1 of 1 calls (100.0 %)" in str(
        check.description
    )
    assert len(landed()) == 2
    (made,) = result.asset_materializations_for_node("recovery__atoms")
    assert made.metadata["events_landed"].value == 2
    assert made.metadata["dagster/row_count"].value == 1
    assert "seconds" in made.metadata
    preview = made.metadata["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    assert [row.data["day"] for row in preview.records] == [f"{lost:%Y-%m-%d}"]


def test_no_loss_passes(api: ListApi) -> None:
    result = dg.materialize([recovery_asset("atoms")], resources=resources())
    (check,) = result.get_asset_check_evaluations()
    assert check.passed


def test_a_partition_imports_its_day_alone(api: ListApi, landed: Landed) -> None:
    api.calls = [api.dialect.call(number, DAY + timedelta(hours=12 * number), 60) for number in range(-1, 4)]
    result = dg.materialize([history_asset("atoms")], partition_key=f"{DAY:%Y-%m-%d}", resources=resources())
    assert result.success
    assert {line["call_id"] for line in landed()} == {call["callId"] for call in api.calls[1:3]}


def test_one_platform_that_fails_fails_alone(api: ListApi) -> None:
    api.key = "another"
    result = dg.materialize([recovery_asset("atoms")], resources=resources(), raise_on_error=False)
    (failed,) = result.get_step_failure_events()
    assert "look at AFTERCALL_API_KEY_ATOMS" in str(failed.step_failure_data.error)


def test_a_schedule_runs_by_default_once_there_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with_key, without = recovery_schedule("atoms"), recovery_schedule("retell")
    assert with_key.default_status is dg.DefaultScheduleStatus.RUNNING
    assert without.default_status is dg.DefaultScheduleStatus.STOPPED
    with dg.build_schedule_context() as context:
        assert with_key.evaluate_tick(context).run_requests
        told = without.evaluate_tick(context).skip_message
    assert "set AFTERCALL_API_KEY_RETELL" in str(told)
