"""Asset checks outside the pass: open incidents, unusual days, freshness, and fields never seen before.

A sensor reports the incidents every minute; the other checks run with the hourly housekeeping. What they look for
belongs to `orchestration/monitoring/`. None is part of a pass: every call would wait for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd
from dagster_dbt.dbt_manifest import validate_manifest

from integrations.destinations import CHANNELS
from integrations.outbox import CIRCUIT, DEAD_ACTIONS, OUTBOX_CHECKS, WAITING, Problem
from orchestration.defs.assets import metadata
from orchestration.defs.assets.models import MANIFEST, TRANSLATOR
from orchestration.defs.resources import Outbox, Settings
from orchestration.monitoring import anomalies, freshness, unseen_fields
from orchestration.monitoring.incidents import ASIDE, RAW, RUNS, SOURCES, evaluate

FRESHNESS = "is_fresh"
_FRESHNESS_LIMITS = ("warn_after", "error_after")
_MOST_SAMPLES = 3
_INCIDENT_DESCRIPTIONS = {
    DEAD_ACTIONS: "No action of the channel is dead, except those that a person gave up.",
    CIRCUIT: "No destination of the channel is paused.",
    WAITING: "No action has been due for longer than AFTERCALL_ALERT_WAITING_MINUTES.",
    RUNS: "No job failed in its last two runs.",
    ASIDE: "No event is set aside because it breaks the build.",
    SOURCES: "No source is silent in an hour that was busy in earlier weeks.",
}
INCIDENT_CHECKS = tuple(
    [(f"outbox/{channel}", name) for channel in CHANNELS for name in OUTBOX_CHECKS]
    + [(RAW, RUNS), (RAW, SOURCES), (RAW, ASIDE)]
)
"""Asset and name of each check that shows incidents."""
_ANOMALY_CHECKS = {
    "volume": (
        "volume_is_usual",
        "Each source had as many calls as on the same weekday of earlier weeks.",
    ),
    "null_rate": (
        "null_rates_are_usual",
        "The calls of each source lack number, agent, duration, satisfaction and resolution no more often than before.",
    ),
    "satisfaction": (
        "satisfaction_is_usual",
        "The customers of each source are about as satisfied as on the days before.",
    ),
}


def evaluation(asset: str, name: str, incidents: Sequence[Problem]) -> dg.AssetCheckEvaluation:
    """The result of one check, given all open incidents."""
    subject = f"{asset}:{name}"
    # An incident that may still resolve itself is listed as needing attention; a check fails only with the alert.
    alerted = [one for one in incidents if one.subject == subject and one.alerted_at is not None]
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset.split("/")),
        check_name=name,
        passed=not alerted,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(one.headline for one in alerted) or None,
        metadata={one.key: f"{one.details} {one.remedy}" for one in alerted},
    )


def _incident_check(asset: str, name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=dg.AssetKey(asset.split("/")), name=name, description=_INCIDENT_DESCRIPTIONS[name])
    def _evaluated(
        context: dg.AssetCheckExecutionContext, settings: Settings, outbox: Outbox
    ) -> dg.AssetCheckResult:
        job_names, now = context.repository_def.job_names, datetime.now(UTC)
        with outbox.open() as opened:
            incidents = evaluate(
                opened, settings.orchestration(), settings.integrations(), context.instance, job_names, now
            ).open
        result = evaluation(asset, name, incidents)
        return dg.AssetCheckResult(
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )

    return _evaluated


def _anomaly_check(kind: str) -> dg.AssetChecksDefinition:
    name, description = _ANOMALY_CHECKS[kind]

    @dg.asset_check(
        asset=dg.AssetKey(["marts", "source_quality_daily"]),
        name=name,
        description=f"{description} Judges the last complete day (UTC); docs/quality.md explains how.",
    )
    def _judged(settings: Settings) -> dg.AssetCheckResult:
        judged = anomalies.last_day(settings.orchestration(), kind)
        unusual = [one for one in judged if one.is_unusual]
        return dg.AssetCheckResult(
            passed=not unusual,
            severity=dg.AssetCheckSeverity.WARN,
            description=anomalies.summary(kind, judged),
            metadata={
                "judged": len(judged),
                "unusual": len(unusual),
                "preview": metadata.table(
                    pd.DataFrame([asdict(one) for one in sorted(judged, key=lambda one: not one.is_unusual)])
                ),
            },
        )

    return _judged


def _freshness_limits(source: Mapping[str, Any]) -> dict[str, str]:
    """The ages from which dbt warns and fails, as the project sets them; empty for a source without limits."""
    configured = source.get("freshness") or {}
    limits = {name: configured.get(name) or {} for name in _FRESHNESS_LIMITS}
    return {
        name: f"{limit['count']} {limit['period']}s" for name, limit in limits.items() if limit.get("count")
    }


def _freshness_check(source: Mapping[str, Any], limits: Mapping[str, str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=TRANSLATOR.get_asset_key(source),
        name=FRESHNESS,
        description="New rows arrive, by dbt's source freshness: "
        + ", ".join(f"{name.replace('_', ' ')} {age}" for name, age in limits.items())
        + ".",
    )
    def _measured(settings: Settings) -> dg.AssetCheckResult:
        name = f"{source['source_name']}.{source['name']}"
        measured = freshness.measure(settings.orchestration(), name)
        is_warning = measured.status == "warn"
        age = measured.age_seconds
        return dg.AssetCheckResult(
            passed=measured.is_fresh,
            severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
            description=measured.summary,
            metadata={
                "lag_seconds": dg.MetadataValue.null() if age is None else round(age, 2),
                **limits,
            },
        )

    return _measured


def _freshness_checks() -> Iterator[dg.AssetChecksDefinition]:
    for source in validate_manifest(MANIFEST)["sources"].values():
        if limits := _freshness_limits(source):
            yield _freshness_check(source, limits)


@dg.asset_check(
    asset=dg.AssetKey(["raw", "call_events"]),
    name="events_look_as_before",
    description=f"The newest {unseen_fields.SAMPLE} events per source and type, loaded within a day, have only fields, "
    "and types of fields, that the two weeks before had too. Events that differ are loaded as far as possible; look at "
    "what changed on the platform.",
)
def events_look_as_before(settings: Settings) -> dg.AssetCheckResult:
    """A warning that names the changed fields and shows outlines, in which a type replaces each value."""
    report = unseen_fields.find(settings.orchestration())
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


incident_checks = [_incident_check(asset, name) for asset, name in INCIDENT_CHECKS]
anomaly_checks = [_anomaly_check(kind) for kind in anomalies.KINDS]
freshness_checks = list(_freshness_checks())
hourly_checks = [events_look_as_before, *anomaly_checks, *freshness_checks]
