"""The landing store as an external asset, and the two dlt loads out of it and out of the outbox."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.load.events import landing
from orchestration.load.outcomes import outbox
from orchestration.resources import Aftercall

OWNERS = ["team:data"]
WAREHOUSE_POOL = "warehouse"
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

    def __init__(self, upstream: list[str]) -> None:
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
                group_name="load",
                kinds={"dlt", "duckdb"},
                owners=OWNERS,
            )
        )


@dlt_assets(
    dlt_source=landing(OrchestrationSettings()),
    dlt_pipeline=pipeline.pipeline(OrchestrationSettings(), pipeline.LANDING),
    name="load_events",
    dagster_dlt_translator=RawTranslator(["landing"]),
    pool=WAREHOUSE_POOL,
)
def load_events(context: dg.AssetExecutionContext, aftercall: Aftercall) -> Iterator[Any]:
    """New landing lines into the raw tables."""
    report = pipeline.load_events(aftercall.orchestration())
    for table in ("call_events", "rejected_lines"):
        yield dg.MaterializeResult(
            asset_key=["raw", table],
            metadata={
                "dagster/row_count": report.rows[table],
                "landing_bytes": report.read_bytes,
                "seconds": round(report.seconds, 2),
            },
        )


@dlt_assets(
    dlt_source=outbox(IntegrationSettings()),
    dlt_pipeline=pipeline.pipeline(OrchestrationSettings(), pipeline.OUTBOX),
    name="load_outcomes",
    dagster_dlt_translator=RawTranslator(["outbox/ticket", "outbox/email", "outbox/crm", "outbox/slack"]),
    pool=WAREHOUSE_POOL,
)
def load_outcomes(context: dg.AssetExecutionContext, aftercall: Aftercall) -> Iterator[Any]:
    """What changed in the outbox into the warehouse."""
    report = pipeline.load_outcomes(aftercall.orchestration(), aftercall.integrations())
    yield dg.MaterializeResult(
        asset_key=["raw", "outbox_actions"],
        metadata={
            "dagster/row_count": report.rows["outbox_actions"],
            "seconds": round(report.seconds, 2),
        },
    )
