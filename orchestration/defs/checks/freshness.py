"""The freshness that the dbt project asks of its sources, as checks on them, hourly and outside the pass.

How it is measured belongs to `orchestration/monitoring/freshness.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt.dbt_manifest import validate_manifest

from orchestration.defs.assets.models import MANIFEST, TRANSLATOR
from orchestration.defs.resources import Aftercall
from orchestration.monitoring import freshness

NAME = "is_fresh"
_LIMITS = ("warn_after", "error_after")


def _limits(source: Mapping[str, Any]) -> dict[str, str]:
    """From what age on dbt warns and fails, as the project has it; nothing of a source that is not judged."""
    asked = source.get("freshness") or {}
    found = {name: asked.get(name) or {} for name in _LIMITS}
    return {name: f"{one['count']} {one['period']}s" for name, one in found.items() if one.get("count")}


def _check(source: Mapping[str, Any], limits: Mapping[str, str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=TRANSLATOR.get_asset_key(source),
        name=NAME,
        description="Whether something new has come, by dbt's source freshness: "
        + ", ".join(f"{name.replace('_', ' ')} {age}" for name, age in limits.items())
        + ".",
    )
    def _measured(aftercall: Aftercall) -> dg.AssetCheckResult:
        found = freshness.measure(aftercall.orchestration(), f"{source['source_name']}.{source['name']}")
        severity = dg.AssetCheckSeverity.WARN if found.status == "warn" else dg.AssetCheckSeverity.ERROR
        age = found.age_seconds
        return dg.AssetCheckResult(
            passed=found.is_fresh,
            severity=severity,
            description=found.said,
            metadata={
                "lag_seconds": dg.MetadataValue.null() if age is None else round(age, 2),
                **limits,
            },
        )

    return _measured


def _checks() -> Iterator[dg.AssetChecksDefinition]:
    for source in validate_manifest(MANIFEST)["sources"].values():
        if limits := _limits(source):
            yield _check(source, limits)


freshness_checks = list(_checks())
