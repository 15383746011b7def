"""How far the models are built: which events the last successful build has seen, noted in a file of the home.

Opens no warehouse. Which loads there were belongs to `orchestration/load/`.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from orchestration.config import OrchestrationSettings
from orchestration.warehouse.interface import LandingMarks


@dataclass(frozen=True)
class BuiltThrough:
    """Every event loaded until `loaded_at` (naive UTC) was built, and so every landing line before `landing`."""

    loaded_at: datetime
    landing: LandingMarks


def read(settings: OrchestrationSettings) -> BuiltThrough | None:
    """What the last successful build has seen; None before the first."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        noted = orjson.loads(_file(settings).read_bytes())
        return BuiltThrough(datetime.fromisoformat(noted["loaded_at"]), LandingMarks(**noted["landing"]))
    return None


def write(settings: OrchestrationSettings, built: BuiltThrough) -> None:
    """Note it, in place of what was noted before."""
    file = _file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_bytes(orjson.dumps(built))
    beside.replace(file)


def _file(settings: OrchestrationSettings) -> Path:
    return settings.dbt_target / "built_through.json"
