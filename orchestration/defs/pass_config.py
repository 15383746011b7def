"""The run config of a pass, as Dagster's launchpad shows it, and its defaults per job.

The defaults depend on the job here and not in `define_asset_job(config=…)`: the passes hold partitioned assets, and
Dagster applies the config of such a job only to runs of a partition.
"""

import dagster as dg
from pydantic import Field

from integrations.destinations import CHANNELS

PASS, COMPLETE, RECONCILE = "after_call_pass", "complete_pass", "nightly_reconcile"
"""Names of the three jobs that make a pass."""
_THROTTLED = {PASS, COMPLETE, *(f"{channel}_channel" for channel in CHANNELS)}


class PassConfig(dg.Config):
    """What a run may do otherwise than its job does by default."""

    full_refresh: bool | None = Field(
        default=None,
        description="Rebuild every model, run every test, and compare every due action with the outbox. Default: only "
        f"{RECONCILE} does.",
    )
    throttle_publish: bool | None = Field(
        default=None,
        description="Skip the published copy while the last one is younger than AFTERCALL_PUBLISH_EVERY_SECONDS. "
        f"Default: {PASS}, {COMPLETE} and the jobs of the channels do.",
    )

    def is_full_refresh(self, job: str) -> bool:
        """True if a run of this job rebuilds and compares everything."""
        return job == RECONCILE if self.full_refresh is None else self.full_refresh

    def is_throttled(self, job: str) -> bool:
        """True if a run of this job may skip the published copy."""
        return job in _THROTTLED if self.throttle_publish is None else self.throttle_publish
