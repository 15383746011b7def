"""Days as partitions: those of history to import, and those of the metric tables.

What a day is belongs to dbt (`call_date`, UTC).
"""

from collections.abc import Iterable

import dagster as dg

from orchestration.recovery.config import RecoverySettings

_SINCE = RecoverySettings().recovery_history_since.isoformat()
WHOLE_DAYS = dg.DailyPartitionsDefinition(start_date=_SINCE, timezone="UTC")
"""Days that are over."""
DAYS = dg.DailyPartitionsDefinition(start_date=_SINCE, timezone="UTC", end_offset=1)
"""The same, and the day that is under way."""


def not_yet_shown(
    instance: dg.DagsterInstance, key: dg.AssetKey, days: Iterable[str]
) -> list[dg.AssetMaterialization]:
    """A materialisation for each of these days (`YYYY-MM-DD`) that no partition shows yet."""
    known = instance.get_materialized_partitions(key)
    return [
        dg.AssetMaterialization(key, partition=day, description="counted within a pass")
        for day in days
        if day not in known and DAYS.has_partition_key(day)
    ]
