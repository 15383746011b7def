"""The dbt project as assets, its tests as asset checks, built in the run's own process.

`DbtCliResource` starts a second interpreter (9 s for a small build, measured); the runner's callbacks give the
very events that dagster-dbt reads from that process, so they become the same materialisations and checks.
"""

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_dbt.dbt_manifest import validate_manifest

from orchestration.config import OrchestrationSettings
from orchestration.defs.assets import metadata
from orchestration.defs.assets.raw import OUTCOMES_GROUP, OWNERS, WAREHOUSE_POOL
from orchestration.defs.partitions import DAYS, not_yet_shown
from orchestration.defs.pass_config import PassConfig
from orchestration.defs.resources import AFTERMATH, MODELS, Build, Dbt, Settings, Warehouse
from orchestration.quarantine import breaking_events, moves
from orchestration.warehouse import RAW, Connection, RelationMissing
from orchestration.warehouse.dbt import ensure_manifest, found_by_tests, variables

# what became of the actions is built after they were tried, within the same pass
OUTCOMES = "source:raw.outbox_actions+"
LEAN = "test_type:unit"
_PASS = ["--selector", "pass", "--no-write-json"]
_COMPLETE = ["--exclude", OUTCOMES, LEAN, "--full-refresh"]
# models that hold days, each of which can be counted anew by itself
BY_DAY = "by_day"
# models that a pass builds
INCREMENT = "pass"
_EVENTS = dg.AssetKey(["raw", "call_events"])
_DBT_SECONDS = "Execution Duration"
_FOLLOWS = "View; not counted during a pass, to keep it fast."
# dbt's names for what Dagster shows anyway, in every event
_NOT_SHOWN = {"unique_id", "invocation_id"}
MANIFEST = ensure_manifest(OrchestrationSettings())


def _is_by_day(node: Mapping[str, Any]) -> bool:
    return BY_DAY in node["tags"] and node["schema"] == "marts"


class ModelTranslator(DagsterDbtTranslator):
    """Asset keys are schema and table; groups are the schemas, but for outcomes."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """`marts/calls`, `raw/call_events`: what an analyst would write in SQL."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The schema; the tables of actions that were carried out stay with what follows the actions."""
        is_outcome = dbt_resource_props["name"] == "stg_outbox__actions"
        return OUTCOMES_GROUP if is_outcome else str(dbt_resource_props["schema"])

    def get_partitions_def(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> dg.PartitionsDefinition[str] | None:
        """Days, for the marts that hold them; a pass needs no partition and counts the days that it touches.

        Only marts: in a run without a partition Dagster cannot say which days one such asset needs of another.
        """
        return DAYS if _is_by_day(dbt_resource_props) else None

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The data team owns every model."""
        return OWNERS

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The model; one of a pass that reads staging views waits for the load below them, which a pass leaves out."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None or INCREMENT not in node["tags"]:
            return spec
        upstream = [manifest["nodes"].get(name) for name in node["depends_on"]["nodes"]]
        reads_views = any(one is not None and one["schema"] == "staging" for one in upstream)
        return spec.merge_attributes(deps=[_EVENTS]) if reads_views else spec

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """A dbt test; it need not block, since a failed one fails the step and with it all that follows."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(blocking=False)


TRANSLATOR = ModelTranslator(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))


def _in_order() -> dict[dg.AssetKey, bool]:
    """Every model and seed of the project after those it selects from, and whether it is a view."""
    nodes = validate_manifest(MANIFEST)["nodes"]
    order = TopologicalSorter({name: node["depends_on"].get("nodes", []) for name, node in nodes.items()})
    return {
        TRANSLATOR.get_asset_key(nodes[name]): nodes[name]["config"]["materialized"] == "view"
        for name in order.static_order()
        if name in nodes and nodes[name]["resource_type"] in ("model", "seed")
    }


IN_ORDER = _in_order()
BY_DAY_KEYS = {
    TRANSLATOR.get_asset_key(node)
    for node in validate_manifest(MANIFEST)["nodes"].values()
    if node["resource_type"] == "model" and _is_by_day(node)
}


def _range(context: dg.AssetExecutionContext) -> dg.PartitionKeyRange | None:
    """The days of a backfill; None in a pass."""
    has_range = context.has_partition_key or context.has_partition_key_range
    return context.partition_key_range if has_range else None


def _days(connection: Connection) -> list[str]:
    """Every day with a call."""
    try:
        days = connection.rows("select distinct call_date::varchar from marts.call_metrics_daily order by 1")
    except RelationMissing:
        return []
    return [day for (day,) in days]


def shown(context: dg.AssetExecutionContext, warehouse: Warehouse, build: Build) -> Iterator[Any]:
    """The check results of a build, then its assets with what they hold. Raises BuildFailed if it failed."""
    outputs: list[dg.Output[Any]] = []
    target_path = warehouse.settings.orchestration().dbt_target
    rows_by_test = found_by_tests(build.events)
    for event in build.events:
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        for dagster_event in message.to_default_asset_events(
            manifest=MANIFEST,
            dagster_dbt_translator=TRANSLATOR,
            context=context,
            target_path=target_path,
        ):
            if isinstance(dagster_event, dg.Output):
                outputs.append(dagster_event)
            elif isinstance(dagster_event, dg.AssetCheckResult):
                yield _check_result(dagster_event, rows_by_test)
            else:
                yield dagster_event
    if build.failure is not None:
        raise build.failure
    yield from described(context, warehouse, outputs)


def _check_result(result: dg.AssetCheckResult, rows_by_test: Mapping[str, str]) -> dg.AssetCheckResult:
    """The result with the rows that the test returned as its description, without what Dagster shows anyway."""
    return result._replace(
        description=rows_by_test.get(result.check_name or "", result.description),
        metadata={name: value for name, value in result.metadata.items() if name not in _NOT_SHOWN},
    )


def described(
    context: dg.AssetExecutionContext, warehouse: Warehouse, outputs: list[dg.Output[Any]]
) -> Iterator[Any]:
    """The assets that dbt built, with their row counts, and the selected views, which follow the tables below them."""
    built_outputs = {context.asset_key_for_output(output.output_name): output for output in outputs}
    opened = warehouse.open()
    with opened.reading(), opened.connect() as connection:
        lag = metadata.lag_seconds(connection, RAW, "call_events", "received_at")
        rows = metadata.row_counts(connection, [(key.path[0], key.path[1]) for key in built_outputs])
        days = _days(connection)
    for key in IN_ORDER:
        if key not in context.selected_asset_keys:
            continue
        if key in BY_DAY_KEYS and not _range(context):
            for materialization in not_yet_shown(context.instance, key, days):
                context.log_event(materialization)
        if output := built_outputs.get(key):
            seconds = output.metadata.get(_DBT_SECONDS, 0.0)
            numbers = {**rows[key.path[0], key.path[1]], "seconds": seconds, "lag_seconds": lag}
            yield dg.Output(None, output_name=output.output_name, metadata=numbers)
        elif IN_ORDER[key]:
            yield dg.MaterializeResult(
                asset_key=key, metadata={"follows": _FOLLOWS, "seconds": 0.0, "lag_seconds": lag}
            )


@dbt_assets(
    manifest=MANIFEST,
    exclude=OUTCOMES,
    dagster_dbt_translator=TRANSLATOR,
    name="models",
    pool=WAREHOUSE_POOL,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def models(
    context: dg.AssetExecutionContext,
    config: PassConfig,
    settings: Settings,
    dbt: Dbt,
    warehouse: Warehouse,
) -> Iterator[Any]:
    """Calls, outcomes, metrics and due actions.

    A pass builds the tables that new events touch and tests their keys. A backfill recounts its range of days. A full
    build follows each change of the project, so that a changed rule holds for every call; it also runs every night, and
    after events came back (`aftercall reload`). An event that alone breaks the build is set aside, and the build is
    repeated without it.
    """
    home_settings = settings.orchestration()
    days = _range(context)
    if days is not None and dbt.is_built(MODELS):
        dates = variables({"dates_from": days.start, "dates_until": days.end})
        warehouse.open().published.forget_base()
        build = dbt.build(["--select", f"tag:{BY_DAY}", "--vars", dates, "--no-write-json"])
        yield from shown(context, warehouse, build)
        return

    def build_once() -> Build:
        loaded = moves.loaded_through(home_settings)
        is_full = config.is_full_refresh(context.run.job_name) or not dbt.is_built(MODELS)
        build = dbt.build(_COMPLETE, MODELS) if is_full else dbt.build(_PASS)
        if build.failure is None:
            moves.remember_built(home_settings, loaded)
        return build

    build = build_once()
    if build.failure is not None and breaking_events.set_aside(home_settings, _PASS, _COMPLETE):
        build = build_once()
    yield from shown(context, warehouse, build)


@dbt_assets(
    manifest=MANIFEST,
    select=OUTCOMES,
    dagster_dbt_translator=TRANSLATOR,
    name="outcomes",
    pool=WAREHOUSE_POOL,
)
def outcomes(
    context: dg.AssetExecutionContext, config: PassConfig, dbt: Dbt, warehouse: Warehouse
) -> Iterator[Any]:
    """What became of every action: a view of the rows just loaded, tested once per project version and every night."""
    if config.is_full_refresh(context.run.job_name) or not dbt.is_built(AFTERMATH):
        build = dbt.build(["--select", OUTCOMES, "--exclude", LEAN], AFTERMATH)
        yield from shown(context, warehouse, build)
    else:
        yield from described(context, warehouse, [])
