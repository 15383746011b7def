"""How old the newest row of each source is, by dbt's own `source freshness`, in words.

Which sources are judged, and from what age on, is said in `dbt_project/models/staging/_sources.yml`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import dbt, open_warehouse

_LOOK_AT = (
    "Look at whether webhooks arrive and are loaded (`aftercall doctor`, `aftercall landing`), and whether the "
    "platforms' lists know newer calls (docs/recovery.md)."
)


@dataclass(frozen=True)
class Freshness:
    """What dbt found of a source: `pass`, `warn` or `error`, and the newest moment in it (UTC; None: it is empty)."""

    status: str
    newest_at: datetime | None
    age_seconds: float | None

    @property
    def is_fresh(self) -> bool:
        """Whether it is as new as it should be. An empty source is not late: nothing was sent yet."""
        return self.newest_at is None or self.status == "pass"

    @property
    def said(self) -> str:
        """What a person should know, and look at."""
        if self.newest_at is None or self.age_seconds is None:
            return "nothing has come yet"
        told = f"the newest came {self.age_seconds / 3600:.1f} hours ago, {self.newest_at:%Y-%m-%d %H:%M} UTC"
        return told if self.is_fresh else f"{told}. {_LOOK_AT}"


def measure(settings: OrchestrationSettings, source: str) -> Freshness:
    """Ask dbt about one source (`raw.call_events`). Raises BuildFailed, and WarehouseBusy when it is not free."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return Freshness("pass", None, None)
    results = settings.dbt_target / "sources.json"
    with warehouse.reading():
        results.unlink(missing_ok=True)
        failure: dbt.BuildFailed | None = None
        try:
            dbt.invoke(settings, ["source", "freshness", "--select", f"source:{source}"])
        except dbt.BuildFailed as error:  # so it is told that a source is too old, too
            failure = error
        found = json.loads(results.read_bytes())["results"] if results.exists() else []
    if len(found) != 1 or "max_loaded_at" not in found[0]:
        raise failure or dbt.BuildFailed(f"dbt judged no freshness of {source}")
    newest = datetime.fromisoformat(found[0]["max_loaded_at"]).astimezone(UTC)
    # dbt gives the first of all days for a source without a row
    if newest.year == 1:
        return Freshness("pass", None, None)
    return Freshness(found[0]["status"], newest, found[0]["max_loaded_at_time_ago_in_s"])
