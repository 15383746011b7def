"""The landing feed shows what the landing store holds, whatever cannot be read in it."""

import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from integrations.board import landing_feed
from integrations.board.call_state import CALL_END, CALL_START
from integrations.board.config import BoardSettings
from integrations.board.live_calls import FEED, LiveView
from receiver.envelope import Facts, line, seal
from receiver.landing import LandingStore
from tests.homes import landing_of
from tests.integrations.board.conftest import copy_of, until


def test_calls_on_the_line_are_known_before_the_day_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_feed, "READ_SECONDS", 0)
    for hours_ago in (6, 5, 4, 0):
        write_segment(tmp_path, f"{hours_ago}h", datetime.now(UTC) - timedelta(hours=hours_ago))
    cold = shown(landing_of(tmp_path), tmp_path)
    early = next(view for view in cold if view.is_current)
    assert not early.is_read
    assert not early.unended
    assert (early.active, early.feed[:5]) == (cold[-1].active, cold[-1].feed[:5])
    assert [call.call_id for call in early.active] == ["0h-4", "0h-2", "0h-0"]


def test_a_line_that_is_no_text_does_not_stop_the_tail(tmp_path: Path) -> None:
    write_segment(tmp_path, "a", datetime.now(UTC))
    (segment,) = (tmp_path / "landing").rglob("*.ndjson")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([lines[0].replace(b"a-0", b"\xff"), *lines]))
    store = landing_of(tmp_path)
    assert [call.call_id for call in shown(store, tmp_path)[-1].active] == ["a-4", "a-2", "a-0"]


def test_one_segment_that_cannot_be_read_is_named_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    write_segment(tmp_path, "a", now - timedelta(hours=1))
    write_segment(tmp_path, "b", now)
    bad = next((tmp_path / "landing" / f"{now:%Y-%m-%d/%H}").glob("*.ndjson"))
    good = bad.rename(bad.with_name(bad.name.replace("Z-", "Z-0")[:-8] + ".ndjson"))
    bad.mkdir()
    view = shown(landing_of(tmp_path), tmp_path)[-1]
    assert len(view.active) == 6
    assert view.is_read
    assert f"{bad.name} cannot be read: Is a directory" in view.problem
    assert caplog.text.count("cannot be read") == 1
    bad.rmdir()
    assert good.exists()
    assert shown(landing_of(tmp_path), tmp_path)[-1].problem == ""


def test_a_landing_store_that_cannot_be_read_is_asked_now_and_then_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(landing_feed, "RETRY_SECONDS", 0.1)
    landing = tmp_path / "landing"
    landing.symlink_to(landing)
    views: list[LiveView] = []
    thread = landing_feed.LandingFeed(
        BoardSettings(home=tmp_path), landing_of(tmp_path), copy_of(tmp_path), views.append
    )
    thread.start()
    until(lambda: len(views) > 2, "the third look")
    assert all("Too many levels of symbolic links" in view.problem for view in views)
    assert not views[-1].is_read
    assert caplog.text.count("cannot be read") == 1
    landing.unlink()
    write_segment(tmp_path, "a", datetime.now(UTC))
    until(lambda: views[-1].is_read, "the day")
    thread.stop()
    assert (len(views[-1].active), views[-1].problem) == (3, "")
    assert len(views) < 30, "it was asked without a pause"


def test_news_among_more_repeats_than_the_feed_holds_are_news_after_a_restart(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    def land(segment: int, ids: list[str], seconds_ago: float) -> None:
        lines = []
        for n, call_id in enumerate(ids):
            at = now - timedelta(seconds=seconds_ago - n / 1000)
            facts = Facts(event_type=CALL_END, call_id=call_id)
            lines.append(line(seal("atoms", facts, b"{}", at), b"{}"))
        path = tmp_path / "landing" / f"{now:%Y-%m-%d/%H}" / f"{now:%Y%m%dT%H%M%S%f}Z-{segment:08x}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.writelines(lines)

    calls, news = [f"call-{n}" for n in range(FEED + 500)], [f"new-{n}" for n in range(100)]
    land(1, calls, 60)
    for segment in (1, 2):
        land(segment, [*news, *calls], 30)
        view = shown(landing_of(tmp_path), tmp_path)[-1]
        assert [each.call_id for each in view.feed] == news[::-1][:60]


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
                body = orjson.dumps({"agent_id": "agent_nora", "kind": kind})
                segment.write(line(seal("atoms", facts, body, at), body))


def shown(store: LandingStore, home: Path) -> list[LiveView]:
    """What the feed shows until it has read everything; it is then ended."""
    views: list[LiveView] = []
    thread = landing_feed.LandingFeed(BoardSettings(home=home), store, copy_of(home), views.append)
    thread.start()
    deadline = time.monotonic() + 30
    while not (views and views[-1].is_read):
        assert time.monotonic() < deadline, "the landing store was not read"
        time.sleep(0.01)
    thread.stop()
    return views
