"""The landing store as an external asset, and the two dlt loads out of it and out of the outbox."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.defs.assets import metadata
from orchestration.defs.resources import Aftercall
from orchestration.load import pipeline
from orchestration.load.events import landing
from orchestration.load.outcomes import outbox
from orchestration.warehouse import duckdb_file

OWNERS = ["team:data"]
WAREHOUSE_POOL = "warehouse"
# what became of the actions, back in the warehouse; a group of its own, so that the graph of groups has no cycle
OUTCOMES_GROUP = "outcomes"
# a run with this tag set to "yes" looks at everything again, not only at what is new
EVERYTHING_TAG = "aftercall/everything"
LANDING = dg.AssetSpec(
    "landing",
    description="Every body that the receiver accepted, raw, in order of arrival.",
    group_name="landing",
    kinds={"file"},
    owners=["team:platform"],
)
_SAID = {
    "call_events": "The event log: one row an event, insert-only, with the body as JSON.",
    "rejected_lines": "Landing lines that are no event, with the reason and where they stand.",
    "outbox_actions": "What became of every action, one row each, as the outbox has it.",
}


class RawTranslator(DagsterDltTranslator):
    """Names dlt's resources after the tables they fill, so that dbt's sources are the same assets."""

    def __init__(self, group: str, upstream: list[str]) -> None:
        self._group = group
        self._upstream = [dg.AssetKey(key.split("/")) for key in upstream]

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """One asset a raw table."""
        return (
            super()
            .get_asset_spec(data)
            .replace_attributes(
                key=dg.AssetKey(["raw", data.resource.name]),
                deps=self._upstream,
                description=_SAID[data.resource.name],
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
def load_events(context: dg.AssetExecutionContext, aftercall: Aftercall) -> Iterator[Any]:
    """New landing lines into the raw tables."""
    settings = aftercall.orchestration()
    report = pipeline.load_events(settings)
    yield from _loaded(settings, report, "received_at", "call_events", "rejected_lines")


@dlt_assets(
    dlt_source=outbox(IntegrationSettings()),
    dlt_pipeline=pipeline.declared(OrchestrationSettings(), pipeline.OUTBOX),
    name="load_outcomes",
    dagster_dlt_translator=RawTranslator(
        OUTCOMES_GROUP, ["outbox/ticket", "outbox/email", "outbox/crm", "outbox/chat"]
    ),
    pool=WAREHOUSE_POOL,
)
def load_outcomes(context: dg.AssetExecutionContext, aftercall: Aftercall) -> Iterator[Any]:
    """What changed in the outbox into the warehouse."""
    settings = aftercall.orchestration()
    report = pipeline.load_outcomes(settings, aftercall.integrations())
    yield from _loaded(settings, report, "updated_at", "outbox_actions")


def _loaded(
    settings: OrchestrationSettings, report: pipeline.LoadReport, age: str, *tables: str
) -> Iterator[dg.MaterializeResult[None]]:
    """What a load did to each table; the lag is how old the newest of its rows is, by the column `age`."""
    with duckdb_file.reading(settings), duckdb_file.connect(settings) as connection:
        lag = metadata.lag_seconds(connection, duckdb_file.RAW, tables[0], age)
        held = metadata.row_counts(connection, [(duckdb_file.RAW, table) for table in tables])
        for table in tables:
            yield dg.MaterializeResult(
                asset_key=[duckdb_file.RAW, table],
                metadata={
                    "new_rows": report.rows[table],
                    "landing_bytes": report.read_bytes,
                    "seconds": round(report.seconds, 2),
                    "lag_seconds": lag,
                    **held[duckdb_file.RAW, table],
                },
            )
