"""Days as partitions, of the imported history and of the metric tables. dbt defines a day (`call_date`, UTC)."""

from collections.abc import Iterable

import dagster as dg

from orchestration.recovery.config import RecoverySettings

_SINCE = RecoverySettings().recovery_history_since.isoformat()
WHOLE_DAYS = dg.DailyPartitionsDefinition(start_date=_SINCE, timezone="UTC")
"""Complete days."""
DAYS = dg.DailyPartitionsDefinition(start_date=_SINCE, timezone="UTC", end_offset=1)
"""Complete days and the current one."""


def not_yet_shown(
    instance: dg.DagsterInstance, key: dg.AssetKey, days: Iterable[str]
) -> list[dg.AssetMaterialization]:
    """A materialisation per day (`YYYY-MM-DD`) that Dagster does not show yet."""
    shown = instance.get_materialized_partitions(key)
    return [
        dg.AssetMaterialization(key, partition=day, description="counted within a pass")
        for day in days
        if day not in shown and DAYS.has_partition_key(day)
    ]
