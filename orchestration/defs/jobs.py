"""Jobs: the pass in three forms, one job per channel, publishing, housekeeping, and one recovery per platform."""

import dagster as dg
from dagster_dbt import build_dbt_asset_selection

from integrations.destinations import CHANNELS
from orchestration.defs.assets.channels import channel_assets
from orchestration.defs.assets.models import models
from orchestration.defs.assets.raw import load_events
from orchestration.defs.assets.recovery import GROUP as RECOVERY_GROUP
from orchestration.defs.checks import hourly_checks, incident_checks
from orchestration.defs.pass_config import COMPLETE, PASS, RECONCILE
from orchestration.defs.resources import Dbt
from orchestration.recovery import PLATFORMS

_TIDY = dg.AssetSelection.assets("landing_archive", "run_history") | dg.AssetSelection.checks(*hourly_checks)
_COMPLETE = (
    dg.AssetSelection.all()
    - _TIDY
    - dg.AssetSelection.groups(RECOVERY_GROUP)
    - dg.AssetSelection.checks(*incident_checks)
)
_AFTER = dg.AssetSelection.assets("raw/outbox_actions", "published").without_checks()
# Dagster records every asset and check of a run before it begins, and three events for each. So a pass selects only
# what holds data: views follow their tables, and `published` counts the rows of the marts among them.
_PASS = (
    dg.AssetSelection.assets(load_events, *channel_assets).without_checks()
    | build_dbt_asset_selection([models], dbt_selector="pass")
    | _AFTER
)
# Every step continues where it stopped, so a retry begins with the first one: it also loads what landed meanwhile, and
# no step is skipped because of what an older run did.
_RETRIES = {"dagster/max_retries": "2", "dagster/retry_strategy": "ALL_STEPS"}

pass_job = dg.define_asset_job(
    PASS,
    selection=_PASS,
    description="Load new events, build the models, attempt due actions, publish.",
    tags=_RETRIES,
)
complete_job = dg.define_asset_job(
    COMPLETE,
    selection=_COMPLETE,
    description="A pass that rebuilds every model and runs every test: the first one, and the one after each change of "
    "the project.",
    tags=_RETRIES,
)
reconcile_job = dg.define_asset_job(
    RECONCILE,
    selection=_COMPLETE,
    description="A complete pass that compares every due action with the outbox, not only the new ones.",
    tags=_RETRIES,
)
housekeeping_job = dg.define_asset_job(
    "landing_housekeeping",
    selection=_TIDY,
    description="Compress and remove landing segments; remove old runs; check that events arrive, look as before, "
    "and were usual on the last day.",
    tags=_RETRIES,
)
publish_job = dg.define_asset_job(
    "publish_marts",
    selection=dg.AssetSelection.assets("published"),
    description="Make the published copy that a pass skipped because the last one was fresh.",
    tags=_RETRIES,
)
channel_jobs = {
    channel: dg.define_asset_job(
        f"{channel}_channel",
        selection=dg.AssetSelection.assets(f"outbox/{channel}").without_checks() | _AFTER,
        description=f"Attempt the {channel} actions that are due for a retry or an update, or that a pass left over.",
        tags=_RETRIES,
    )
    for channel in CHANNELS
}
recovery_jobs = {
    source: dg.define_asset_job(
        f"recover_{source}",
        selection=dg.AssetSelection.assets(f"recovery/{source}"),
        description=f"Land the calls that {source} lists and whose webhooks were lost.",
        # No retries: the API client has already retried, and the job runs again in an hour.
        tags={**_RETRIES, "dagster/max_retries": "0"},
    )
    for source in PLATFORMS
}

jobs = (
    pass_job,
    complete_job,
    reconcile_job,
    publish_job,
    housekeeping_job,
    *channel_jobs.values(),
    *recovery_jobs.values(),
)


def next_pass(dbt: Dbt) -> str:
    """Name of the job that makes the next pass: a complete one until the project as it stands was built once."""
    return PASS if dbt.is_complete() else COMPLETE
