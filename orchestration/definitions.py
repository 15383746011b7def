"""The Dagster code location, assembled from `defs/`."""

from collections.abc import Mapping

import dagster as dg

import orchestration.runtime.pools  # noqa: F401 - replaces how runs wait for a pool
from orchestration.defs.assets.channels import channel_assets
from orchestration.defs.assets.models import models, outcomes
from orchestration.defs.assets.published import published
from orchestration.defs.assets.raw import LANDING, load_events, load_outcomes
from orchestration.defs.assets.recovery import LISTED_CALLS, history_assets, recovery_assets
from orchestration.defs.assets.retention import landing_archive, run_history
from orchestration.defs.checks import hourly_checks, incident_checks
from orchestration.defs.jobs import jobs, next_pass
from orchestration.defs.pass_config import RECONCILE
from orchestration.defs.resources import Dbt, Settings, resources
from orchestration.defs.schedules import schedules
from orchestration.defs.sensors import sensors


def build_defs(resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """The code location; `resource_overrides` replaces resources by key (`defs/resources.py`)."""
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
        asset_checks=[*incident_checks, *hourly_checks],
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        resources=resources(resource_overrides),
        executor=dg.in_process_executor,
    )


def next_job(full_refresh: bool = False) -> str:
    """Name of the job that makes the next pass, for callers without a sensor."""
    return RECONCILE if full_refresh else next_pass(Dbt(settings=Settings()))


defs = build_defs()
