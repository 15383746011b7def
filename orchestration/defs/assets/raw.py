"""The landing store as an external asset, and the two dlt loads out of it and out of the outbox."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.defs.assets import metadata
from orchestration.defs.resources import Settings, Warehouse
from orchestration.load import pipeline
from orchestration.load.events import landing
from orchestration.load.outcomes import outbox
from orchestration.warehouse import RAW

OWNERS = ["team:data"]
WAREHOUSE_POOL = "warehouse"
# a separate group, so that the graph of groups has no cycle: the results of actions come back into the warehouse
OUTCOMES_GROUP = "outcomes"
LANDING = dg.AssetSpec(
    "landing",
    description="Every body that the receiver accepted, raw, in order of arrival.",
    group_name="landing",
    kinds={"file"},
    owners=["team:platform"],
)
_DESCRIPTIONS = {
    "call_events": "The event log: one row per event, insert-only, with the body as JSON.",
    "rejected_lines": "Landing lines that are no event, each with the reason and its position.",
    "outbox_actions": "Every action with its result, one row each, copied from the outbox.",
}


class RawTranslator(DagsterDltTranslator):
    """Names dlt's resources after the tables they fill, so that dbt's sources are the same assets."""

    def __init__(self, group: str, upstream: list[str]) -> None:
        self._group = group
        self._upstream = [dg.AssetKey(key.split("/")) for key in upstream]

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """One asset per raw table."""
        return (
            super()
            .get_asset_spec(data)
            .replace_attributes(
                key=dg.AssetKey(["raw", data.resource.name]),
                deps=self._upstream,
                description=_DESCRIPTIONS[data.resource.name],
                group_name=self._group,
                kinds={"dlt", "duckdb"},
                owners=OWNERS,
            )
        )


@dlt_assets(
    dlt_source=landing(OrchestrationSettings()),
    dlt_pipeline=pipeline.declared(OrchestrationSettings(), pipeline.LANDING),
    name="load_events",
    dagster_dlt_translator=RawTranslator("load", ["landing"]),
    pool=WAREHOUSE_POOL,
)
def load_events(context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse) -> Iterator[Any]:
    """Load new landing lines into the raw tables."""
    report = pipeline.load_events(settings.orchestration())
    yield from _loaded(warehouse, report, "received_at", "call_events", "rejected_lines")


@dlt_assets(
    dlt_source=outbox(IntegrationSettings()),
    dlt_pipeline=pipeline.declared(OrchestrationSettings(), pipeline.OUTBOX),
    name="load_outcomes",
    dagster_dlt_translator=RawTranslator(
        OUTCOMES_GROUP, ["outbox/ticket", "outbox/email", "outbox/crm", "outbox/chat"]
    ),
    pool=WAREHOUSE_POOL,
)
def load_outcomes(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse
) -> Iterator[Any]:
    """Load what changed in the outbox into the warehouse."""
    report = pipeline.load_outcomes(settings.orchestration(), settings.integrations())
    yield from _loaded(warehouse, report, "updated_at", "outbox_actions")


def _loaded(
    warehouse: Warehouse, report: pipeline.LoadReport, time_column: str, *tables: str
) -> Iterator[dg.MaterializeResult[None]]:
    """What a load did to each table; the lag is the age of the newest row, by `time_column`."""
    opened = warehouse.open()
    with opened.reading(), opened.connect() as connection:
        lag = metadata.lag_seconds(connection, RAW, tables[0], time_column)
        counts = metadata.row_counts(connection, [(RAW, table) for table in tables])
        for table in tables:
            yield dg.MaterializeResult(
                asset_key=[RAW, table],
                metadata={
                    "new_rows": report.rows[table],
                    "landing_bytes": report.read_bytes,
                    "seconds": round(report.seconds, 2),
                    "lag_seconds": lag,
                    **counts[RAW, table],
                },
            )
