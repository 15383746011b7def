"""The code location as Dagster sees it: what is in it, in which order, and who owns it."""

import json
from collections import defaultdict

import pytest

from orchestration.recovery import PLATFORMS

GROUPS = {
    "landing": {"landing", "landing_archive"},
    "load": {"raw/call_events", "raw/rejected_lines"},
    "outcomes": {"raw/outbox_actions", "staging/stg_outbox__actions"},
    "actions": {"outbox/ticket", "outbox/email", "outbox/crm", "outbox/slack"},
    "published": {"published"},
    "housekeeping": {"run_history"},
    "recovery": {"raw/listed_calls"}
    | {f"{kind}/{source}" for kind in ("recovery", "history") for source in PLATFORMS},
}

# no model reads the rejected lines, and Dagster shows the tests of a source only where one does; dbt runs them anyway
NO_CHECKS = {
    "warn_rejected_lines",
    "source_not_null_raw_rejected_lines_position_key",
    "source_unique_raw_rejected_lines_position_key",
}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERCALL_HOME", str(tmp_path_factory.mktemp("definitions")))
        from orchestration.definitions import build_defs

        return build_defs()


def test_groups_and_owners(defs: object) -> None:
    graph = defs.resolve_asset_graph()  # type: ignore[attr-defined]
    groups = defaultdict(set)
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        groups[node.group_name].add(key.to_user_string())
        assert node.owners, key
    for group, keys in GROUPS.items():
        assert groups[group] == keys
    assert {"marts/calls", "marts/call_outcomes", "marts/actions"} <= groups["marts"]
    assert "sync/sync_tickets" in groups["sync"]


def test_every_asset_has_kinds_and_a_description(defs: object) -> None:
    graph = defs.resolve_asset_graph()  # type: ignore[attr-defined]
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert [node.key for node in nodes if not node.kinds or not (node.description or "").strip()] == []


def test_every_data_test_of_dbt_is_an_asset_check(defs: object) -> None:
    from orchestration.defs.assets.models import MANIFEST

    graph = defs.resolve_asset_graph()  # type: ignore[attr-defined]
    checks = {key.name for key in graph.asset_check_keys}
    nodes = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"].values()
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    assert len(tests) > 100
    assert tests - checks == NO_CHECKS


def test_every_freshness_of_dbt_is_an_hourly_check(defs: object) -> None:
    from orchestration.defs.assets.models import MANIFEST

    sources = json.loads(MANIFEST.read_text(encoding="utf-8"))["sources"].values()
    asked = {
        f"raw/{node['name']}"
        for node in sources
        if ((node["freshness"] or {}).get("warn_after") or {}).get("count")
    }
    job = defs.resolve_job_def("landing_housekeeping")  # type: ignore[attr-defined]
    checks = {
        key.asset_key.to_user_string()
        for key in job.asset_layer.asset_graph.asset_check_keys
        if key.name == "is_fresh"
    }
    assert checks == asked == {"raw/call_events"}


def test_one_lineage_from_landing_to_published(defs: object) -> None:
    import dagster as dg

    graph = defs.resolve_asset_graph()  # type: ignore[attr-defined]
    upstream, reached = {dg.AssetKey("published")}, set()
    while upstream:
        reached |= upstream
        upstream = {parent for key in upstream for parent in graph.get(key).parent_keys} - reached
    names = {key.to_user_string() for key in reached}
    assert {"landing", "raw/call_events", "marts/calls", "outbox/slack", "raw/outbox_actions"} <= names


def test_sensors_jobs_and_schedule(defs: object) -> None:
    repository = defs.get_repository_def()  # type: ignore[attr-defined]
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "landing_sensor", "ticket_sensor", "email_sensor", "crm_sensor", "slack_sensor", "published_sensor",
        "problem_sensor", "space_sensor",
    }  # fmt: skip
    assert {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs} == {
        "nightly_reconcile_schedule": "17 3 * * *", "landing_housekeeping_schedule": "37 * * * *",
        **{f"recover_{source}_schedule": "7 * * * *" for source in PLATFORMS},
    }  # fmt: skip
    assert repository.has_job("after_call_pass")


def test_a_pass_plans_the_checks_that_it_makes_and_a_complete_one_all(defs: object) -> None:
    def checks(name: str) -> set[str]:
        graph = defs.resolve_job_def(name).asset_layer.asset_graph  # type: ignore[attr-defined]
        return {key.name for key in graph.asset_check_keys}

    assert {name.split("_int_")[0] for name in checks("after_call_pass")} == {"latest_keys_are_unique"}
    assert len(checks("complete_pass")) > 100
    assert checks("complete_pass") == checks("nightly_reconcile")
    assert not checks("slack_channel")


def test_a_pass_writes_down_what_holds_data_alone_and_in_order(defs: object) -> None:
    """Each asset is an event before the run and three in it: the views follow by themselves."""
    job = defs.resolve_job_def("after_call_pass")  # type: ignore[attr-defined]
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert len(keys) < 22
    assert {"raw/call_events", "marts/call_volume", "outbox/slack", "raw/outbox_actions", "published"} <= keys
    upstream = {
        node.name: {dependency.node for dependency in inputs.values()}
        for node, inputs in job.graph.dependencies.items()
    }
    assert upstream["models"] == {"load_events"}
    for channel in ("ticket", "email", "crm", "slack"):
        assert "models" in upstream[f"outbox__{channel}"]
        assert f"outbox__{channel}" in upstream["load_outcomes"]
    assert {"models", "load_outcomes"} <= upstream["published"]


@pytest.mark.parametrize("name", ["after_call_pass", "complete_pass", "nightly_reconcile"])
def test_housekeeping_and_recovery_are_no_part_of_a_pass(defs: object, name: str) -> None:
    keys = {key.to_user_string() for key in defs.resolve_job_def(name).asset_layer.executable_asset_keys}  # type: ignore[attr-defined]
    assert "published" in keys
    assert not keys & {"landing_archive", "run_history"}
    assert not any(key.startswith(("recovery/", "history/")) for key in keys)
