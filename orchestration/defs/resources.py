"""Dagster resources: the settings, read when a run begins and not when the code is imported.

Every job uses this resource, so a run's process holds the run's lock file from the moment that Dagster opens it.
"""

import logging

import dagster as dg

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.runtime import running

LOG = logging.getLogger("aftercall.resources")


class Aftercall(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings of this process, from the environment and `.env`."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Hold the run; on a disk without room for an empty file, its process id has to do."""
        if context.run is not None:
            try:
                running.hold(self.orchestration().dagster, context.run.run_id)
            except OSError as error:
                LOG.warning("Cannot lock the file of run %s: %s", context.run.run_id, error)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Let the run go."""
        if context.run is not None:
            running.release(self.orchestration().dagster, context.run.run_id)

    def orchestration(self) -> OrchestrationSettings:
        """Settings of the load, the build and Dagster."""
        return OrchestrationSettings()

    def integrations(self) -> IntegrationSettings:
        """Settings of the outbox and its channels."""
        return IntegrationSettings()
