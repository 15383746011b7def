"""Whether the parts around the board work: Dagster answers, and how old the last load and build are."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from integrations.board.config import BoardSettings


@dataclass(frozen=True)
class Around:
    """Times are aware UTC, None if there was none yet."""

    loaded_at: datetime | None = None
    dagster: bool = False


def around(settings: BoardSettings) -> Around:
    """A look at what the board does not follow; takes up to two seconds."""
    return Around(_changed(settings.dlt / "landing" / "state.json"), _answers(settings.dagster_bind))


def _changed(path: Path) -> datetime | None:
    """Dlt writes its state with every load."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _answers(bind: str) -> bool:
    try:
        return requests.get(f"http://{bind}/server_info", timeout=2).ok
    except requests.RequestException:
        return False
