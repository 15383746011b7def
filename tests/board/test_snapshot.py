"""What is kept for a restart is what the landing store says, or it is not used."""

import shutil
import tempfile
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.board import snapshot, tail
from integrations.board.config import BoardSettings
from integrations.board.envelope import ANALYTICS, CALL_END, CALL_START
from integrations.board.live import Live, LiveView
from receiver.envelope import Facts, line, seal
from receiver.landing import open_landing
from tests.board.test_live import EVENTS, NOW, TIMEOUT, landing_line, since

DAY = timedelta(days=1)
MIDNIGHT = b'"%s"' % NOW.strftime("%Y-%m-%dT00:00:00").encode()


def folded(lines: list[bytes], now: datetime = NOW) -> Live:
    live = Live(ZoneInfo("UTC"), TIMEOUT, now)
    live.fold(b"".join(lines))
    return live


def kept_and_restored(live: Live, now: datetime) -> Live:
    again = Live(ZoneInfo("UTC"), TIMEOUT, now)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "board" / "live.state"
        snapshot.keep(path, live, {"a": 1})
        assert snapshot.restore(path, again) == {"a": 1}
    return again


def numbers(view: LiveView) -> tuple[object, ...]:
    return since(view.active), since(view.unended), view.started, view.ended, view.analysed


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_what_was_kept_is_what_is_restored(lines: list[bytes]) -> None:
    live = folded(lines)
    assert kept_and_restored(live, NOW).view(NOW) == live.view(NOW)


@settings(deadline=None)
@given(
    st.lists(EVENTS, max_size=12), st.lists(st.sampled_from([CALL_START, CALL_END, ANALYTICS]), max_size=6)
)
def test_what_was_kept_before_midnight_is_what_would_be_read_after_it(
    old: list[bytes], late: list[str]
) -> None:
    tomorrow = NOW + DAY
    new = [landing_line(kind, "a", -24 * 60 + 5 + number) for number, kind in enumerate(late)]
    rolled = kept_and_restored(folded(old), tomorrow)
    rolled.fold(b"".join(new))
    today = [
        each for each in old if b'"received_at":' + MIDNIGHT[:-1] <= each[each.index(b'"received_at":') :]
    ]
    assert numbers(rolled.view(tomorrow)) == numbers(folded([*today, *new], tomorrow).view(tomorrow))


@pytest.mark.parametrize("now", [NOW + 2 * DAY, NOW - DAY])
def test_what_was_kept_long_ago_or_by_a_clock_that_was_wrong_is_not_used(
    tmp_path: Path, now: datetime
) -> None:
    snapshot.keep(tmp_path / "live.state", folded([]), {})
    assert snapshot.restore(tmp_path / "live.state", Live(ZoneInfo("UTC"), TIMEOUT, now)) is None


def test_what_was_kept_under_other_rules_or_is_torn_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "live.state"
    snapshot.keep(path, folded([landing_line(CALL_START, "a", 1)]), {})
    assert snapshot.restore(path, Live(ZoneInfo("UTC"), 2 * TIMEOUT, NOW)) is None
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[: len(whole) // 2], whole[:-1] + b"\0", b"", b"{}\n", b"[]"):
        path.write_bytes(torn)
        assert snapshot.restore(path, folded([])) is None


def test_calls_on_the_line_are_known_before_the_day_is_counted_and_a_restart_knows_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "READ_SECONDS", 0)
    for hours_ago in (6, 5, 4, 0):
        write_segment(tmp_path, f"{hours_ago}h", datetime.now(UTC) - timedelta(hours=hours_ago))
    cold, again = shown(tmp_path), shown(tmp_path)
    early = next(view for view in cold if view.is_current)
    assert not early.is_read
    assert not early.unended
    assert (early.active, early.feed[:5]) == (cold[-1].active, cold[-1].feed[:5])
    assert [call.call_id for call in early.active] == ["0h-4", "0h-2", "0h-0"]
    assert next(view for view in again if view.is_current) == cold[-1] == again[-1]


def test_what_was_kept_of_another_landing_store_is_not_used(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    write_segment(tmp_path, "first", now)
    assert len(shown(tmp_path)[-1].active) == 3
    shutil.rmtree(tmp_path / "landing")
    write_segment(tmp_path, "second", now)
    assert [call.call_id[:6] for call in shown(tmp_path)[-1].active] == ["second"] * 3


def write_segment(home: Path, name: str, at: datetime) -> None:
    """A segment of five calls that started at a time, of which two ended."""
    path = (
        home
        / "landing"
        / f"{at:%Y-%m-%d/%H}"
        / f"{at:%Y%m%dT%H%M%S%f}Z-{zlib.crc32(name.encode()):08x}.ndjson"
    )
    path.parent.mkdir(parents=True)
    with path.open("wb") as segment:
        for number in range(5):
            for kind in (CALL_START, CALL_END)[: 1 + number % 2]:
                facts = Facts(event_type=kind, call_id=f"{name}-{number}", occurred_at=at)
                segment.write(line(seal("atoms", facts, b"{}", at), b"{}"))


def shown(home: Path) -> list[LiveView]:
    """What a tail tells until it has read everything; it is then ended, and keeps its state."""
    views: list[LiveView] = []
    thread = tail.Tail(BoardSettings(home=home), open_landing(home), views.append)
    thread.start()
    deadline = time.monotonic() + 30
    while not (views and views[-1].is_read):
        assert time.monotonic() < deadline, "the landing store was not read"
        time.sleep(0.01)
    thread.stop()
    return views
