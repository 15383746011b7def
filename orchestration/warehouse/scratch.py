"""Scratch warehouses: a DuckDB file in a home of its own, whatever the real warehouse is, to try something out in.

What is tried there belongs to `orchestration/quarantine/` and `orchestration/tools/whatif/`.
"""

import shutil
from pathlib import Path

from orchestration.config import OrchestrationSettings
from orchestration.warehouse.duckdb_file import of_home


def scratch_settings(settings: OrchestrationSettings, folder: Path) -> OrchestrationSettings:
    """Settings that lead to a scratch warehouse in a folder, and to nothing of the real home."""
    return settings.model_copy(update={"home": folder, "warehouse_url": ""})


def copy(source: OrchestrationSettings, target: OrchestrationSettings) -> None:
    """Put a copy of one scratch warehouse in another's place. Nobody may have either open."""
    remove(target)
    target.home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(of_home(source).path, of_home(target).path)


def remove(settings: OrchestrationSettings) -> None:
    """Remove a scratch warehouse with its log."""
    path = of_home(settings).path
    for file in (path, path.with_name(f"{path.name}.wal")):
        file.unlink(missing_ok=True)
