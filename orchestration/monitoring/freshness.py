"""The age of each source's newest row, by dbt's own `source freshness`, in words.

`dbt_project/models/staging/_sources.yml` sets which sources are judged, and from what age.
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
    """dbt's verdict on a source, `pass`, `warn` or `error`, and its newest moment (UTC; None: it is empty)."""

    status: str
    newest_at: datetime | None
    age_seconds: float | None

    @property
    def is_fresh(self) -> bool:
        """True if the newest row is young enough. An empty source is fresh: nothing was sent yet."""
        return self.newest_at is None or self.status == "pass"

    @property
    def summary(self) -> str:
        """The age in words, and where to look if the source is stale."""
        if self.newest_at is None or self.age_seconds is None:
            return "nothing has come yet"
        age = f"the newest came {self.age_seconds / 3600:.1f} hours ago, {self.newest_at:%Y-%m-%d %H:%M} UTC"
        return age if self.is_fresh else f"{age}. {_LOOK_AT}"


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
        except dbt.BuildFailed as error:  # dbt also raises this for a source that is too old
            failure = error
        verdicts = json.loads(results.read_bytes())["results"] if results.exists() else []
    if len(verdicts) != 1 or "max_loaded_at" not in verdicts[0]:
        raise failure or dbt.BuildFailed(f"dbt gave no freshness of {source}")
    newest = datetime.fromisoformat(verdicts[0]["max_loaded_at"]).astimezone(UTC)
    # dbt gives year 1 for a source without a row
    if newest.year == 1:
        return Freshness("pass", None, None)
    return Freshness(verdicts[0]["status"], newest, verdicts[0]["max_loaded_at_time_ago_in_s"])
