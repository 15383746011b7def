"""Dagster resources: the settings, read when a run begins and not when the code is imported."""

import dagster as dg

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings


class Aftercall(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings of this process, from the environment and `.env`."""

    def orchestration(self) -> OrchestrationSettings:
        """Settings of the load, the build and Dagster."""
        return OrchestrationSettings()

    def integrations(self) -> IntegrationSettings:
        """Settings of the outbox and its channels."""
        return IntegrationSettings()
