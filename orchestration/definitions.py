"""The Dagster code location: assembles what its neighbours define, and nothing more."""

from collections.abc import Mapping

import dagster as dg

import orchestration.runtime.pools  # noqa: F401 - changes how runs wait
from orchestration.defs.assets.channels import channel_assets
from orchestration.defs.assets.models import models, outcomes
from orchestration.defs.assets.published import published
from orchestration.defs.assets.raw import LANDING, load_events, load_outcomes
from orchestration.defs.assets.recovery import LISTED_CALLS, history_assets, recovery_assets
from orchestration.defs.assets.retention import landing_archive, run_history
from orchestration.defs.checks.anomalies import quality_checks
from orchestration.defs.checks.freshness import freshness_checks
from orchestration.defs.checks.incidents import problem_checks
from orchestration.defs.checks.unseen_fields import events_look_as_documented
from orchestration.defs.jobs import jobs
from orchestration.defs.resources import Aftercall
from orchestration.defs.schedules import schedules
from orchestration.defs.sensors import sensors


def build_defs(resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """The code location; tests and the CLI may put other resources in."""
    return dg.Definitions(
        assets=[
            LANDING,
            load_events,
            models,
            *channel_assets,
            load_outcomes,
            outcomes,
            published,
            landing_archive,
            run_history,
            *recovery_assets,
            *history_assets,
            LISTED_CALLS,
        ],
        asset_checks=[*problem_checks, *quality_checks, *freshness_checks, events_look_as_documented],
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        resources={"aftercall": Aftercall(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
