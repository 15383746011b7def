"""Where the files of a warehouse are, for tests that open, move or break them behind its back."""

from pathlib import Path

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import open_warehouse


def warehouse_file(settings: OrchestrationSettings) -> Path:
    """The DuckDB file that loads and builds write."""
    return Path(open_warehouse(settings).location)


def published_file(settings: OrchestrationSettings) -> Path:
    """The copy of the marts that readers open."""
    return Path(open_warehouse(settings).published.location)
