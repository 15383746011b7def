"""The pages behind the pictures of docs/messages.md; Chromium only photographs them."""

import re
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_rendition_shows_what_is_sent(tmp_path: Path) -> None:
    pytest.importorskip("selenium")
    from docs.previews import UNSETTLED, renditions

    pages = renditions(IntegrationSettings(home=tmp_path, board_url="https://board.example"))
    assert set(pages) == {"slack-call", "slack-problem", "slack-resolved", "ticket", "note"}
    for name in ("slack-call", "ticket", "note"):
        assert UNSETTLED in pages[name]
    assert pages["slack-call"].count('class="button"') == 3
    assert "<b>What to do</b>" in pages["slack-problem"]
    assert "✅ Resolved" in pages["slack-resolved"]


def test_every_picture_of_the_page_is_there() -> None:
    named = set(re.findall(r"\]\((images/[\w.-]+)\)", (DOCS / "messages.md").read_text()))
    assert len(named) == 17
    assert all((DOCS / name).stat().st_size < 80_000 for name in named)
