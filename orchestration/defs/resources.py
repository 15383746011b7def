"""Dagster's resources: settings, dbt, warehouse, outbox, landing store, opened when a run or a sensor needs them.

A test overrides one through `definitions.build_defs`. What a resource opens belongs to `warehouse/`,
`integrations.outbox` and `receiver.landing`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

import integrations.outbox as ledger
import orchestration.warehouse as warehouses
from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.recovery.config import RecoverySettings
from orchestration.runtime import running
from orchestration.warehouse import dbt
from receiver.landing import LandingStore, open_landing

LOG = logging.getLogger("aftercall.resources")
MODELS, AFTERMATH = PARTS = ("models", "outcomes")
"""The parts of the dbt project that are built by themselves: what becomes due, then what became of the actions."""


class Settings(dg.ConfigurableResource):  # type: ignore[type-arg]  # Dagster's subclasses leave the parameter out
    """The settings, read from the environment and `.env` when they are asked for; `home` replaces AFTERCALL_HOME.

    Every resource below holds one, so a run's process locks the run's file from the moment that Dagster opens any.
    """

    home: str = ""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Lock the file of the run; on a disk without room for an empty file, its process id has to do."""
        if context.run is not None:
            try:
                running.hold(self.orchestration().dagster, context.run.run_id)
            except OSError as error:
                LOG.warning("Cannot lock the file of run %s: %s", context.run.run_id, error)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Release the file of the run."""
        if context.run is not None:
            running.release(self.orchestration().dagster, context.run.run_id)

    def orchestration(self) -> OrchestrationSettings:
        """Settings of the load, the build and Dagster."""
        return OrchestrationSettings(**self._home())

    def integrations(self) -> IntegrationSettings:
        """Settings of the outbox and its channels."""
        return IntegrationSettings(**self._home())

    def recovery(self) -> RecoverySettings:
        """Settings of the recovery."""
        return RecoverySettings(**self._home())

    def _home(self) -> dict[str, Any]:
        return {"home": self.home} if self.home else {}


@dataclass(frozen=True)
class Build:
    """The events of one dbt command, and its error if it failed."""

    events: list[dict[str, Any]]
    failure: dbt.BuildFailed | None


class Dbt(dg.ConfigurableResource):  # type: ignore[type-arg]  # as above
    """The dbt project, built in this process."""

    settings: Settings

    def is_built(self, part: str) -> bool:
        """True if the whole part was built since the project last changed. Opens the warehouse."""
        return dbt.is_built(self.settings.orchestration(), part)

    def is_complete(self) -> bool:
        """True if both parts of the project as it stands are likely to be built. The warehouse stays closed."""
        settings = self.settings.orchestration()
        return all(dbt.is_full_build_recorded(settings, part) for part in PARTS)

    def build(self, arguments: Sequence[str], part: str | None = None) -> Build:
        """The result of `dbt build`, repeated with more memory where it ran out of that.

        A successful build of a `part` is recorded as its full build. Raises WarehouseBusy.
        """
        events: list[dict[str, Any]] = []

        def attempt(roomy: OrchestrationSettings) -> None:
            events.clear()
            if part is None:
                dbt.build(roomy, arguments, events.append)
            else:
                dbt.build_all(roomy, part, arguments, events.append)

        try:
            warehouses.with_enough_memory(self.settings.orchestration(), attempt, "duckdb_memory")
        except dbt.BuildFailed as error:
            return Build(events, error)
        return Build(events, None)


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]  # as above
    """The warehouse that the settings name."""

    settings: Settings

    def open(self) -> warehouses.Warehouse:
        """The warehouse; opening creates and locks nothing."""
        return warehouses.open_warehouse(self.settings.orchestration())


class Outbox(dg.ConfigurableResource):  # type: ignore[type-arg]  # as above
    """The outbox that the settings name."""

    settings: Settings

    def open(self) -> ledger.Outbox:
        """The outbox, to be used as a context manager."""
        return ledger.open_outbox(self.settings.integrations().outbox_url)


class Landing(dg.ConfigurableResource):  # type: ignore[type-arg]  # as above
    """The landing store of the home."""

    settings: Settings

    def open(self) -> LandingStore:
        """The landing store, opened for reading."""
        return open_landing(self.settings.orchestration().landing)


def resources(overrides: Mapping[str, object] | None = None) -> dict[str, object]:
    """Every resource by its key. An override takes the place of its key; `settings` also reaches the others."""
    overrides = overrides or {}
    settings = overrides.get("settings", Settings())
    if not isinstance(settings, Settings):
        raise TypeError(f"the resource `settings` must be a Settings, not {type(settings).__name__}")
    return {
        "settings": settings,
        "dbt": Dbt(settings=settings),
        "warehouse": Warehouse(settings=settings),
        "outbox": Outbox(settings=settings),
        "landing": Landing(settings=settings),
        **overrides,
    }
