"""The published copy of the marts, as the last asset of a pass; and the same as Parquet, for who wants it.

How often a run may copy is a setting; what is left out for it the `published_sensor` makes up for.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from orchestration import parquet, publish
from orchestration.assets import metadata
from orchestration.assets.models import models, outcomes
from orchestration.assets.raw import OWNERS, WAREHOUSE_POOL
from orchestration.resources import Aftercall

_MARTS = [
    key for definition in (models, outcomes) for key in definition.keys if key.path[0] == publish.SCHEMA
]


# a run with this tag leaves the copy out when the last one is fresh enough
SPARING_TAG = "aftercall/publish_sparingly"


@dg.asset(
    key="published",
    deps=_MARTS,
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
    frame = pd.DataFrame(sorted(report.rows.items()), columns=["mart", "rows"])
    said: dict[str, dg.MetadataValue | int | float | str] = {
        "dagster/row_count": int(frame["rows"].sum()),
        "bytes": report.file_bytes,
        "seconds": round(report.seconds, 2),
        "calls_renewed": "all" if report.renewed is None else report.renewed,
        "preview": metadata.table(frame),
    }
    if settings.publish_parquet:
        said["parquet_files"] = len(parquet.export(settings))
    yield dg.MaterializeResult(
        metadata={**said, "lag_seconds": metadata.seconds_since(report.newest, datetime.now(UTC))}
    )
