"""The published copy of the marts, as the last asset of a pass; and the same as Parquet, for who wants it.

How often a run may copy is a setting; what is left out for it the `published_sensor` makes up for.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.assets import metadata
from orchestration.defs.assets.models import models, outcomes
from orchestration.defs.assets.raw import OWNERS, WAREHOUSE_POOL
from orchestration.defs.resources import Aftercall
from orchestration.warehouse import MARTS, RAW, PublishReport, parquet, publish

_MARTS = [key for definition in (models, outcomes) for key in definition.keys if key.path[0] == MARTS]


# a run with this tag leaves the copy out when the last one is fresh enough
SPARING_TAG = "aftercall/publish_sparingly"


@dg.asset(
    key="published",
    # what became of the actions is a view of the table that was just loaded
    deps=[*_MARTS, dg.AssetKey([RAW, "outbox_actions"])],
    group_name="published",
    kinds={"duckdb"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
    output_required=False,
    description="A copy of every mart for BI tools, replaced in one step after a build; in passes at most once in "
    "AFTERCALL_PUBLISH_EVERY_SECONDS.",
)
def published(
    context: dg.AssetExecutionContext, aftercall: Aftercall
) -> Iterator[dg.MaterializeResult[None]]:
    """Copy, then rename; then the days that changed as Parquet, if the settings say so."""
    settings = aftercall.orchestration()
    wait = publish.wait_seconds(settings)
    if wait and context.run.tags.get(SPARING_TAG) == "yes":
        context.log.info("the copy is fresh enough; the published_sensor makes the next in %.0f s", wait)
        return
    report = publish.publish(settings)
    for materialization in _marts_of_other_size(context.instance, report):
        context.log_event(materialization)
    said: dict[str, dg.MetadataValue | int | float | str] = {
        "dagster/row_count": sum(report.rows.values()),
        "bytes": report.stored_bytes,
        "seconds": round(report.seconds, 2),
        "calls_renewed": "all" if report.renewed is None else report.renewed,
        "marts": dg.MetadataValue.json(report.rows),
    }
    if settings.publish_parquet:
        said["parquet_files"] = len(parquet.export(settings))
    yield dg.MaterializeResult(
        metadata={**said, "lag_seconds": metadata.seconds_since(report.newest, datetime.now(UTC))}
    )


def _marts_of_other_size(
    instance: dg.DagsterInstance, report: PublishReport
) -> list[dg.AssetMaterialization]:
    """A materialisation of each mart whose rows in the new copy are not as many as Dagster says."""
    known = instance.get_latest_materialization_events(_MARTS)
    return [
        dg.AssetMaterialization(
            key,
            description="counted in the published copy",
            metadata={"dagster/row_count": report.rows[key.path[-1]]},
        )
        for key in _MARTS
        if key.path[-1] in report.rows and _row_count(known.get(key)) != report.rows[key.path[-1]]
    ]


def _row_count(event: dg.EventLogEntry | None) -> object:
    """The rows that a materialisation says, None if it says none."""
    materialization = event.asset_materialization if event is not None else None
    count = materialization.metadata.get("dagster/row_count") if materialization is not None else None
    return count.value if count is not None else None
