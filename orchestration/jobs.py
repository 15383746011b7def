"""Jobs: the pass (everything, in one process), one a channel, and the nightly reconciliation."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration.assets.channels import CHANNELS
from orchestration.assets.raw import EVERYTHING_TAG

_AFTER = dg.AssetSelection.assets("raw/outbox_actions", "marts/actions", "published")
_RETRIES = {"dagster/max_retries": "3"}


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
    dg.AssetSelection.all(),
    "Load what is new, build, try what became due, publish.",
)
reconcile_job = _job(
    "nightly_reconcile",
    dg.AssetSelection.all(),
    "The same pass, comparing every due action with the outbox, not only the new ones.",
    **{EVERYTHING_TAG: "yes"},
)
channel_jobs = {
    channel: _job(
        f"{channel}_channel",
        dg.AssetSelection.assets(f"outbox/{channel}") | _AFTER,
        f"What the {channel} channel has to retry, to update, or left over.",
    )
    for channel in CHANNELS
}
