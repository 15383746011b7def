"""The dbt project as assets, its tests as asset checks, built in the run's own process.

`DbtCliResource` starts a second interpreter (9 s for a small build, measured); the runner's callbacks give the
very events that dagster-dbt reads from that process, so they become the same materialisations and checks.
"""

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration import build
from orchestration.assets.raw import EVERYTHING_TAG, OWNERS, WAREHOUSE_POOL
from orchestration.config import OrchestrationSettings
from orchestration.resources import Aftercall

# what became of the actions is built after they were tried, within the same pass
OUTCOMES = "source:raw.outbox_actions+"
LEAN = "test_type:unit"
MANIFEST = build.ensure_manifest(OrchestrationSettings())


class ModelTranslator(DagsterDbtTranslator):
    """Asset keys are schema and table; groups are the schemas."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """`marts/calls`, `raw/call_events`: what an analyst would write in SQL."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The schema."""
        return str(dbt_resource_props["schema"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The data team owns every model."""
        return OWNERS


TRANSLATOR = ModelTranslator()


def built(
    context: dg.AssetExecutionContext,
    settings: OrchestrationSettings,
    select: list[str],
    exclude: list[str],
    full_refresh: bool = False,
) -> Iterator[Any]:
    """Run `dbt build` in a thread and yield each node's Dagster events as they come."""
    events: queue.Queue[dict[str, Any] | BaseException | None] = queue.Queue()

    def work() -> None:
        try:
            build.build(settings, select, exclude, full_refresh, sink=events.put)
            events.put(None)
        except BaseException as error:  # carried to the run's own thread, whatever it is
            events.put(error)

    worker = threading.Thread(target=work, name="dbt", daemon=True)
    worker.start()
    while (event := events.get()) is not None:
        if isinstance(event, BaseException):
            raise event
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        yield from message.to_default_asset_events(
            manifest=MANIFEST,
            dagster_dbt_translator=TRANSLATOR,
            context=context,
            target_path=settings.dbt_target,
        )
    worker.join()


@dbt_assets(
    manifest=MANIFEST, exclude=OUTCOMES, dagster_dbt_translator=TRANSLATOR, name="models", pool=WAREHOUSE_POOL
)
def models(context: dg.AssetExecutionContext, aftercall: Aftercall) -> Iterator[Any]:
    """Calls, outcomes, metrics and what is due."""
    everything = context.run.tags.get(EVERYTHING_TAG) == "yes"
    yield from built(context, aftercall.orchestration(), [], [OUTCOMES, LEAN], full_refresh=everything)


@dbt_assets(
    manifest=MANIFEST,
    select=OUTCOMES,
    dagster_dbt_translator=TRANSLATOR,
    name="outcomes",
    pool=WAREHOUSE_POOL,
)
def outcomes(context: dg.AssetExecutionContext, aftercall: Aftercall) -> Iterator[Any]:
    """What became of every action."""
    yield from built(context, aftercall.orchestration(), [OUTCOMES], [LEAN])
