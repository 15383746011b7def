"""What is unusual about a platform's last day, as checks on the mart that judges it, hourly and outside the pass.

What is usual belongs to `marts.source_quality_daily`, its words to `orchestration/monitoring/anomalies.py`.
"""

from dataclasses import asdict

import dagster as dg
import pandas as pd

from orchestration.defs.assets import metadata
from orchestration.defs.resources import Aftercall
from orchestration.monitoring import anomalies

_SAID = {
    "volume": "Whether each source had as many calls as on the same weekday of the weeks before.",
    "null_rate": "Whether the calls of each source lacked no more than on the days before: number, agent, duration, "
    "satisfaction, resolution.",
    "satisfaction": "Whether the customers of each source were about as satisfied as on the days before.",
}
_NAMES = {
    "volume": "volume_is_usual",
    "null_rate": "null_rates_are_usual",
    "satisfaction": "satisfaction_is_usual",
}


def _check(kind: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(["marts", "source_quality_daily"]),
        name=_NAMES[kind],
        description=f"{_SAID[kind]} Of the last day that is over, UTC; docs/quality.md says how it is judged.",
    )
    def _judged(aftercall: Aftercall) -> dg.AssetCheckResult:
        judged = anomalies.last_day(aftercall.orchestration(), kind)
        unusual = [one for one in judged if one.is_unusual]
        return dg.AssetCheckResult(
            passed=not unusual,
            severity=dg.AssetCheckSeverity.WARN,
            description=anomalies.said_of(kind, judged),
            metadata={
                "judged": len(judged),
                "unusual": len(unusual),
                "preview": metadata.table(
                    pd.DataFrame([asdict(one) for one in sorted(judged, key=lambda one: not one.is_unusual)])
                ),
            },
        )

    return _judged


quality_checks = [_check(kind) for kind in anomalies.KINDS]
