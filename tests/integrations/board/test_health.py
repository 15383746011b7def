"""The line at the top: how long events wait, what was loaded and built, what has failed, and who does not answer."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrations.board.config import BoardSettings
from integrations.board.live_calls import LiveView
from tests.conftest import free_port
from tests.integrations.board.conftest import board_of


def health(home: Path, seconds: float | None, problem: str = "") -> str:
    """The line over a landing store whose oldest event has waited so long."""
    at = datetime.now(UTC) - timedelta(seconds=seconds or 0)
    receipts = (at,) if seconds is not None else ()
    board = board_of(BoardSettings(home=home, dagster_bind=f"127.0.0.1:{free_port()}"))
    board._page.show_live(LiveView(receipts=receipts, is_current=True, is_read=True, problem=problem))
    return board.broadcaster.html("health")


def text(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


@pytest.mark.parametrize(("seconds", "is_late"), [(50, False), (70, True), (3600, True)])
def test_the_lag_is_that_of_the_oldest_event_and_amber_from_a_minute_on(
    tmp_path: Path, seconds: float, is_late: bool
) -> None:
    html = health(tmp_path, seconds)
    lag = html[html.index("data delay") : html.index("loaded")]
    since = re.search(r'datetime="([^"]+)"', lag)
    assert since is not None
    assert abs((datetime.now(UTC) - datetime.fromisoformat(since[1])).total_seconds() - seconds) < 30
    assert ('class="soon"' in lag) == is_late


def test_an_installation_that_has_done_nothing_says_so(tmp_path: Path) -> None:
    shown = text(health(tmp_path, None))
    assert shown == (
        "no event yet data delay \N{EN DASH} loaded never numbers none yet 0 failed Dagster ○ does not answer"
    )


def test_what_cannot_be_read_is_reported_first(tmp_path: Path) -> None:
    assert text(health(tmp_path, None, problem="a.ndjson cannot be read: Is a directory")).startswith(
        "✕ a.ndjson"
    )


def test_phone_numbers_that_an_earlier_version_stored_are_deleted_at_the_start(tmp_path: Path) -> None:
    former = tmp_path / "board" / "live.state"
    former.parent.mkdir()
    former.write_text("+12025550143")
    board = board_of(BoardSettings(home=tmp_path))
    board.start()
    board.stop()
    assert not former.exists()
