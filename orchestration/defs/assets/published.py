"""The published copy of the marts, as the last asset of a pass, and the same as Parquet where the settings ask for it.

A setting limits how often a pass copies; the `published_sensor` makes the copy that a pass skipped.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.assets import metadata
from orchestration.defs.assets.models import models, outcomes
from orchestration.defs.assets.raw import OWNERS, WAREHOUSE_POOL
from orchestration.defs.pass_config import PassConfig
from orchestration.defs.resources import Settings
from orchestration.warehouse import MARTS, RAW, PublishReport, parquet, publish

_MARTS = [key for definition in (models, outcomes) for key in definition.keys if key.path[0] == MARTS]


@dg.asset(
    key="published",
    # the marts of actions are views of this table, which a pass has just loaded
    deps=[*_MARTS, dg.AssetKey([RAW, "outbox_actions"])],
    group_name="published",
    kinds={"duckdb"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
    output_required=False,
    description="A copy of every mart for BI tools, replaced in one step after a build; passes make at most one per "
    "AFTERCALL_PUBLISH_EVERY_SECONDS.",
)
def published(
    context: dg.AssetExecutionContext, config: PassConfig, settings: Settings
) -> Iterator[dg.MaterializeResult[None]]:
    """Copy, rename, then write the days that changed as Parquet if the settings say so."""
    home_settings = settings.orchestration()
    wait = publish.wait_seconds(home_settings)
    if wait and config.is_throttled(context.run.job_name):
        context.log.info("the last copy is fresh; the published_sensor makes the next in %.0f s", wait)
        return
    report = publish.publish(home_settings)
    for materialization in _marts_of_other_size(context.instance, report):
        context.log_event(materialization)
    results: dict[str, dg.MetadataValue | int | float | str] = {
        "dagster/row_count": sum(report.rows.values()),
        "bytes": report.stored_bytes,
        "seconds": round(report.seconds, 2),
        "calls_renewed": "all" if report.renewed is None else report.renewed,
        "marts": dg.MetadataValue.json(report.rows),
    }
    if home_settings.publish_parquet:
        results["parquet_files"] = len(parquet.export(home_settings))
    yield dg.MaterializeResult(
        metadata={**results, "lag_seconds": metadata.seconds_since(report.newest, datetime.now(UTC))}
    )


def _marts_of_other_size(
    instance: dg.DagsterInstance, report: PublishReport
) -> list[dg.AssetMaterialization]:
    """A materialisation per mart whose row count in the new copy differs from the one that Dagster shows."""
    latest = instance.get_latest_materialization_events(_MARTS)
    return [
        dg.AssetMaterialization(
            key,
            description="counted in the published copy",
            metadata={"dagster/row_count": report.rows[key.path[-1]]},
        )
        for key in _MARTS
        if key.path[-1] in report.rows and _row_count(latest.get(key)) != report.rows[key.path[-1]]
    ]


def _row_count(event: dg.EventLogEntry | None) -> object:
    """The row count in a materialisation; None if it has none."""
    materialization = event.asset_materialization if event is not None else None
    count = materialization.metadata.get("dagster/row_count") if materialization is not None else None
    return count.value if count is not None else None
