"""Fields and types never seen before, as an hourly check on the event log: see `monitoring/unseen_fields.py`."""

import dagster as dg
import pandas as pd

from orchestration.defs.assets import metadata
from orchestration.defs.resources import Aftercall
from orchestration.monitoring import unseen_fields

_MOST_SAMPLES = 3


@dg.asset_check(
    asset=dg.AssetKey(["raw", "call_events"]),
    name="events_look_as_documented",
    description=f"Passes if the newest {unseen_fields.SAMPLE} events per source and type, loaded within a day, have "
    "only fields, and types of fields, that the two weeks before had too. Events that differ are loaded as far as they "
    "can be; look at what the platform changed.",
)
def events_look_as_documented(aftercall: Aftercall) -> dg.AssetCheckResult:
    """A warning names the places and shows outlines, in which every value stands as its type."""
    report = unseen_fields.find(aftercall.orchestration())
    rows = [
        {
            "source": one.source,
            "event type": one.event_type,
            "events": one.events,
            "what changed": "; ".join(f"{misfit.where} {misfit.problem}" for misfit in one.misfits),
            "for example": one.event_key,
        }
        for one in report.drifts
    ]
    samples = {
        f"sample {one.event_key}": dg.MetadataValue.md(f"```json\n{one.sample}\n```")
        for one in report.drifts[:_MOST_SAMPLES]
    }
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "events_looked_at": report.events,
            "at_most_of_each_source_and_type": unseen_fields.SAMPLE,
            "events_that_differ": sum(one.events for one in report.drifts),
            "what_changed": metadata.table(pd.DataFrame(rows, columns=list(rows[0]) if rows else ["source"])),
            **samples,
        },
    )
