"""Two systems, `north` and `south`, behind every channel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.outbox.systems import installed


@pytest.fixture
def systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home in which they keep what they did."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (tmp_path / "systems").mkdir()
    with installed(tmp_path / "systems", monkeypatch, "north", "south"):
        yield home
