"""Jobs: the pass (everything, in one process), one a channel, nightly reconciliation, housekeeping, recovery."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster_dbt import build_dbt_asset_selection

from orchestration.defs.assets.channels import CHANNELS, channel_assets
from orchestration.defs.assets.models import models
from orchestration.defs.assets.published import SPARING_TAG
from orchestration.defs.assets.raw import EVERYTHING_TAG, load_events
from orchestration.defs.assets.recovery import GROUP as RECOVERY_GROUP
from orchestration.defs.checks.anomalies import quality_checks
from orchestration.defs.checks.freshness import freshness_checks
from orchestration.defs.checks.incidents import problem_checks
from orchestration.defs.checks.unseen_fields import events_look_as_documented
from orchestration.recovery import PLATFORMS

_TIDY = dg.AssetSelection.assets("landing_archive", "run_history") | dg.AssetSelection.checks(
    events_look_as_documented, *quality_checks, *freshness_checks
)
_NO_CHECKS = dg.AssetSelection.checks(*problem_checks)
_COMPLETE = dg.AssetSelection.all() - _TIDY - dg.AssetSelection.groups(RECOVERY_GROUP) - _NO_CHECKS
_AFTER = dg.AssetSelection.assets("raw/outbox_actions", "published").without_checks()
# Dagster writes down every asset and check of a run before it begins, and three events for each that it makes: a pass
# has those that hold data. The views follow by themselves; of the marts among them `published` says what they hold.
_PASS = (
    dg.AssetSelection.assets(load_events, *channel_assets).without_checks()
    | build_dbt_asset_selection([models], dbt_selector="pass")
    | _AFTER
)
# every step takes up its work where it stopped, so a retry starts at the first one: what landed in the meantime is
# loaded with the rest, and a step is never left out because of what an older run had done
_RETRIES = {"dagster/max_retries": "2", "dagster/retry_strategy": "ALL_STEPS"}


def _job(
    name: str, selection: dg.AssetSelection, description: str, **tags: str
) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name,
        selection=selection,
        description=description,
        tags={**_RETRIES, **tags},
        executor_def=dg.in_process_executor,
    )


pass_job = _job(
    "after_call_pass",
    _PASS,
    "Load what is new, build, try what became due, publish.",
    **{SPARING_TAG: "yes"},
)
complete_job = _job(
    "complete_pass",
    _COMPLETE,
    "The same pass with every model built anew and every test: the first one, and that after the project changed.",
    **{SPARING_TAG: "yes"},
)
reconcile_job = _job(
    "nightly_reconcile",
    _COMPLETE,
    "The complete pass, comparing every due action with the outbox, not only the new ones.",
    **{EVERYTHING_TAG: "yes"},
)
housekeeping_job = _job(
    "landing_housekeeping",
    _TIDY,
    "Compress and remove landing segments; remove old runs; look at whether events still come, whether they changed "
    "shape, and whether the last day was unusual.",
)
publish_job = _job(
    "publish_marts",
    dg.AssetSelection.assets("published"),
    "The copy that passes left out because the last was fresh.",
)
channel_jobs = {
    channel: _job(
        f"{channel}_channel",
        dg.AssetSelection.assets(f"outbox/{channel}").without_checks() | _AFTER,
        f"What the {channel} channel has to retry, to update, or left over.",
        **{SPARING_TAG: "yes"},
    )
    for channel in CHANNELS
}
recovery_jobs = {
    source: _job(
        f"recover_{source}",
        dg.AssetSelection.assets(f"recovery/{source}"),
        f"Land the calls that {source} lists and no webhook told.",
        # an API that fails was asked with patience; the next hour asks again
        **{"dagster/max_retries": "0"},
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
JOB_NAMES = tuple(job.name for job in jobs)
