"""Asset checks that show what `monitoring.incidents` finds; a sensor reports them, and a person may run them.

No decision is taken here. The checks are no part of a pass: they would make every call wait for them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from integrations.outbox import CIRCUIT, DEAD_ACTIONS, OUTBOX_CHECKS, WAITING, Problem, open_outbox
from orchestration.defs.assets.channels import CHANNELS
from orchestration.defs.resources import Aftercall
from orchestration.monitoring.incidents import ASIDE, RAW, RUNS, SOURCES, evaluate

_SAID = {
    DEAD_ACTIONS: "No action of the channel is dead, but those that a person gave up.",
    CIRCUIT: "No destination of the channel has stopped.",
    WAITING: "Nothing has been due for longer than AFTERCALL_ALERT_WAITING_MINUTES.",
    RUNS: "No job failed in its last two runs.",
    ASIDE: "No event is set aside because it breaks the build.",
    SOURCES: "No source is silent in an hour that is busy in other weeks.",
}
SUBJECTS = tuple(
    [(f"outbox/{channel}", name) for channel in CHANNELS for name in OUTBOX_CHECKS]
    + [(RAW, RUNS), (RAW, SOURCES), (RAW, ASIDE)]
)


def evaluation(asset: str, name: str, found: Sequence[Problem]) -> dg.AssetCheckEvaluation:
    """One check as the open problems have it."""
    subject = f"{asset}:{name}"
    # What may mend itself is in the list of what needs attention; a check fails with the alert.
    mine = [problem for problem in found if problem.subject == subject and problem.alerted_at is not None]
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset.split("/")),
        check_name=name,
        passed=not mine,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(problem.headline for problem in mine) or None,
        metadata={problem.key: f"{problem.details} {problem.remedy}" for problem in mine},
    )


def _check(asset: str, name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=dg.AssetKey(asset.split("/")), name=name, description=_SAID[name])
    def _evaluated(context: dg.AssetCheckExecutionContext, aftercall: Aftercall) -> dg.AssetCheckResult:
        integrations = aftercall.integrations()
        with open_outbox(integrations.outbox_url) as outbox:
            found = evaluate(
                outbox, aftercall.orchestration(), integrations, context.instance, datetime.now(UTC)
            )
        told = evaluation(asset, name, found.open)
        return dg.AssetCheckResult(
            passed=told.passed, severity=told.severity, description=told.description, metadata=told.metadata
        )

    return _evaluated


problem_checks = [_check(asset, name) for asset, name in SUBJECTS]
