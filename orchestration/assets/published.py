"""The published copy of the marts, as the last asset of a pass."""

from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from orchestration import publish
from orchestration.assets import metadata
from orchestration.assets.models import models, outcomes
from orchestration.assets.raw import OWNERS, WAREHOUSE_POOL
from orchestration.resources import Aftercall

_MARTS = [
    key for definition in (models, outcomes) for key in definition.keys if key.path[0] == publish.SCHEMA
]


@dg.asset(
    key="published",
    deps=_MARTS,
    group_name="published",
    kinds={"duckdb"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
    description="A copy of every mart for BI tools, replaced in one step after each build.",
)
def published(aftercall: Aftercall) -> dg.MaterializeResult[None]:
    """Copy, then rename."""
    report = publish.publish(aftercall.orchestration())
    frame = pd.DataFrame(sorted(report.rows.items()), columns=["mart", "rows"])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": int(frame["rows"].sum()),
            "bytes": report.file_bytes,
            "seconds": round(report.seconds, 2),
            "lag_seconds": metadata.seconds_since(report.newest, datetime.now(UTC)),
            "preview": metadata.table(frame),
        }
    )
