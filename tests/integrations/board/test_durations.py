"""How long a call took, as the feed says it: what the platform sent, then the call's own times, then: at least."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from integrations.board.durations import Duration
from integrations.board.live_calls import LiveCalls, LiveView
from receiver.envelope import line, seal
from receiver.sources import SOURCES
from tests.integrations.board.conftest import Worked, until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
START = {"event": "call.start", "call_id": "c", "call_direction": "inbound"}


def seen(*events: tuple[float, dict[str, Any]], source: str = "atoms") -> LiveView:
    """The live state after events, each with how many seconds ago it arrived."""
    live = LiveCalls(ZoneInfo("UTC"), timedelta(hours=2), NOW)
    for seconds_ago, body in events:
        payload = orjson.dumps(body)
        facts = SOURCES[source].facts(body, {})
        landed = line(seal(source, facts, payload, NOW - timedelta(seconds=seconds_ago)), payload)
        live.read(landed)
    return live.view(NOW)


def ended(*events: tuple[float, dict[str, Any]], source: str = "atoms") -> Duration | None:
    (item,) = (item for item in seen(*events, source=source).feed if item.what == "ended")
    return item.duration


def end(**more: Any) -> dict[str, Any]:
    return {"event": "call.end", "call_id": "c", **more}


def analytics(**more: Any) -> dict[str, Any]:
    return {"event": "analytics.completed", "call_id": "c", **more}


def test_what_the_platform_sent_counts_whenever_the_webhooks_came() -> None:
    times = {"timestamp": "2026-11-23T11:59:00Z"}
    assert ended((1.5, START), (0, end(duration_seconds=181))) == Duration(181)
    assert ended((1.5, START | times), (0, end(duration_seconds="181.5"))) == Duration(181.5)
    assert ended((0, end(duration_seconds=181)), (0, START)) == Duration(181)
    assert ended((0, end(duration_seconds=181))) == Duration(181)


def test_of_what_the_platform_sent_the_analytics_count_first() -> None:
    for events in (
        [(2, end(duration_seconds=181)), (1, analytics(duration_seconds=180))],
        [(2, analytics(duration_seconds=180)), (1, end(duration_seconds=181))],
    ):
        assert ended(*events) == Duration(180)
    assert ended((2, end(duration_seconds=181)), (1, analytics())) == Duration(181)


def test_then_the_calls_own_times_count() -> None:
    start = START | {"timestamp": "2026-11-23T11:56:00Z"}
    assert ended((1.5, start), (0, end(timestamp="2026-11-23T13:59:01+02:00"))) == Duration(181)
    assert ended((1.5, start), (0, end(timestamp="2026-11-23T11:59:01Z"))) == Duration(181)
    # analytics come later than the end, which they say nothing of
    late = analytics(timestamp="2026-11-23T11:59:55Z")
    assert ended((9, start), (5, end(timestamp="2026-11-23T11:59:01Z")), (1, late)) == Duration(181)


@pytest.mark.parametrize(
    "own",
    [{}, {"timestamp": "soon"}, {"timestamp": "2026-11-23T11:00:00Z"}, {"timestamp": "2026-11-25T11:59:01Z"}],
)
def test_arrival_times_are_lower_bounds(own: dict[str, Any]) -> None:
    start = START | {"timestamp": "2026-11-23T11:56:00Z"}
    assert ended((1.5, start), (0, end(**own))) == Duration(1.5, is_at_least=True)
    assert ended((0, end(**own))) is None


def test_hostile_durations_are_none() -> None:
    values: tuple[Any, ...] = (-1, "NaN", "inf", 1e300, True, [], {}, "1" * 5000, None)
    for value in values:
        assert ended((1.5, START), (0, end(duration_seconds=value))) == Duration(1.5, is_at_least=True), value


def test_a_clock_that_runs_from_an_arrival_shows_at_least_so_long() -> None:
    (known,) = seen((1, START | {"timestamp": "2026-11-23T11:59:00Z"})).active
    (unknown,) = seen((1, START)).active
    assert (known.is_at_least, unknown.is_at_least) == (False, True)


def test_the_feed_says_what_the_published_copy_says(worked: Worked) -> None:
    board, installation = worked.office.board, worked.office.installation
    key = "ended:atoms:first"

    def row() -> str:
        return board.part("feed").partition(f'data-key="{key}"')[2].partition("</li>")[0]

    until(lambda: "60 s" in row(), "the duration")
    (seconds,) = installation.mart("select duration_seconds from calls where call_id = 'first'")[0]
    assert seconds == 60
    assert "at least" not in row()
