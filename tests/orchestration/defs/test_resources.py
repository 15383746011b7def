"""Resources as the code location wires them, and in a test's place of one of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from orchestration.config import OrchestrationSettings


def test_settings_in_another_place_reach_every_resource(
    installation: Any, dagster: dg.DagsterInstance, land: Callable[..., Any], tmp_path: Path
) -> None:
    from orchestration.definitions import build_defs
    from orchestration.defs.resources import Dbt, Landing, Outbox, Settings, Warehouse, resources

    land(tmp_path)
    elsewhere = Settings(home=str(tmp_path))
    assert OrchestrationSettings().home == installation.home
    for name, kind in (("dbt", Dbt), ("warehouse", Warehouse), ("outbox", Outbox), ("landing", Landing)):
        resource: Any = resources({"settings": elsewhere})[name]
        assert isinstance(resource, kind)
        assert resource.settings.orchestration().home == tmp_path
        assert resource.settings.integrations().home == resource.settings.recovery().home == tmp_path
    job = build_defs({"settings": elsewhere}).resolve_job_def("__ASSET_JOB")
    result = job.execute_in_process(instance=dagster, asset_selection=[dg.AssetKey("landing_archive")])
    (archive,) = result.asset_materializations_for_node("landing_archive")
    assert archive.metadata["segments"].value == len(list((tmp_path / "landing").rglob("*.ndjson"))) > 0
    assert not (installation.home / "landing").exists()


@pytest.mark.parametrize(("is_complete", "job"), [(True, "after_call_pass"), (False, "complete_pass")])
def test_another_dbt_decides_what_pass_new_bytes_start(
    installation: Any, dagster: dg.DagsterInstance, land: Callable[..., Any], is_complete: bool, job: str
) -> None:
    from orchestration.defs.resources import Dbt, Settings, resources
    from orchestration.defs.sensors import landing_sensor

    class Built(Dbt):
        def is_complete(self) -> bool:
            return is_complete

    land(installation.home)
    replaced = resources({"dbt": Built(settings=Settings())})
    with dg.build_sensor_context(instance=dagster, resources=replaced) as context:
        (request,) = list(cast("Iterator[dg.RunRequest]", landing_sensor(context)))
    assert request.job_name == job


def test_settings_of_another_kind_are_refused() -> None:
    from orchestration.defs.resources import resources

    with pytest.raises(TypeError, match="must be a Settings, not str"):
        resources({"settings": "elsewhere"})


def test_a_job_sets_what_its_runs_do_and_a_run_may_do_otherwise() -> None:
    from orchestration.defs.jobs import channel_jobs, jobs
    from orchestration.defs.pass_config import COMPLETE, PASS, RECONCILE, PassConfig

    usual = PassConfig()
    assert {job.name for job in jobs if usual.is_full_refresh(job.name)} == {RECONCILE}
    throttled = {PASS, COMPLETE} | {job.name for job in channel_jobs.values()}
    assert {job.name for job in jobs if usual.is_throttled(job.name)} == throttled
    assert PassConfig(full_refresh=True).is_full_refresh(PASS)
    assert not PassConfig(full_refresh=False).is_full_refresh(RECONCILE)
    assert PassConfig(throttle_publish=True).is_throttled(RECONCILE)
    assert not PassConfig(throttle_publish=False).is_throttled(PASS)
