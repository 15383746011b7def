"""The live state is the same whatever the order in which lines come, and however often."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.board.call_state import ANALYTICS, CALL_END, CALL_START, Step
from integrations.board.durations import Duration
from integrations.board.live_calls import FEED, SHOWN, LiveCall, LiveCalls, LiveView
from receiver.envelope import Facts, line, seal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TIMEOUT = timedelta(hours=2)
DAY = timedelta(days=1)
MIDNIGHT = b'"%s"' % NOW.strftime("%Y-%m-%dT00:00:00").encode()
KINDS = (CALL_START, CALL_END, ANALYTICS)


def landing_line(
    kind: str, call: str, minutes_ago: float, source: str = "atoms", is_recovered: bool = False
) -> bytes:
    at = NOW - timedelta(minutes=minutes_ago)
    event_id = f"recovered:{source}:{kind}:{call}" if is_recovered else None
    facts = Facts(event_id, kind, call, occurred_at=at, customer_phone="+12025550143")
    payload = orjson.dumps({"agent_id": "agent_nora", "call": call, "kind": kind})
    return line(seal(source, facts, payload, at), payload)


def seen(lines: list[bytes], now: datetime = NOW) -> LiveView:
    live = LiveCalls(ZoneInfo("UTC"), TIMEOUT, now)
    for each in lines:
        live.read(each)
    return live.view(now)


def active(view: LiveView) -> list[str]:
    return [call.call_id for call in view.active]


def since(calls: list[LiveCall]) -> list[tuple[str, datetime]]:
    return sorted((call.call_id, call.started_at) for call in calls)


EVENTS = st.builds(
    landing_line,
    st.sampled_from([CALL_START, CALL_END, ANALYTICS, "call.ringing"]),
    st.sampled_from(["a", 'b"\\', "c\u2028", "שיחה"]),
    st.integers(0, 2000),
)


ALL_EVENTS = EVENTS | st.builds(
    landing_line,
    st.sampled_from([CALL_START, CALL_END, ANALYTICS]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 2000),
    st.sampled_from(["atoms", "vapi"]),
    st.booleans(),
)
"""Recovered ones too, and of a source whose analysis ends the call."""


@settings(deadline=None)
@given(
    st.lists(ALL_EVENTS, max_size=12, unique=True).flatmap(
        lambda lines: st.tuples(st.just(lines), st.permutations(lines))
    )
)
def test_neither_order_nor_repetition_changes_who_is_on_the_line_or_the_counts(
    both: tuple[list[bytes], list[bytes]],
) -> None:
    one, other = seen(both[0]), seen([*both[1], *both[1]])
    assert since(one.active) == since(other.active)
    assert since(one.unended) == since(other.unended)
    assert (one.started, one.ended, one.analysed) == (other.started, other.ended, other.analysed)
    assert one.sources == other.sources


def test_a_call_whose_end_never_comes_leaves_as_one_without_an_end() -> None:
    view = seen([landing_line(CALL_START, "old", 121), landing_line(CALL_START, "new", 119)])
    assert active(view) == ["new"]
    assert [call.call_id for call in view.unended] == ["old"]


def test_an_end_before_its_start_never_shows_the_call() -> None:
    view = seen([landing_line(CALL_END, "a", 1), landing_line(CALL_START, "a", 2)])
    assert active(view) == []
    assert (view.started, view.ended) == (1, 1)


def test_analytics_take_a_call_off_whose_end_was_lost() -> None:
    view = seen([landing_line(CALL_START, "a", 2), landing_line(ANALYTICS, "a", 1)])
    assert active(view) == []


def test_the_agent_is_found_and_a_running_clock_starts_with_the_call() -> None:
    (call,) = seen([landing_line(CALL_START, "a", 2)]).active
    assert (call.agent, call.phone, call.started_at) == (
        "agent_nora",
        "+12025550143",
        NOW - timedelta(minutes=2),
    )


def test_the_agent_of_a_long_start_is_found() -> None:
    agent, long = (
        b'{"agent_id":"agent_nora"',
        b'{"prompt":"' + b"x" * (2 << 20) + b'","agent_id":"agent_nora"',
    )
    (call,) = seen([landing_line(CALL_START, "a", 2).replace(agent, long)]).active
    assert call.agent == "agent_nora"


def test_the_feed_knows_whose_call_was_analysed_long_after_it_ended() -> None:
    nameless = landing_line(ANALYTICS, "a", 1).replace(
        b'"customer_phone":"+12025550143"', b'"customer_phone":null'
    )
    others = [landing_line(CALL_START, f"other-{number}", 60 - number / 10) for number in range(500)]
    live = LiveCalls(ZoneInfo("UTC"), TIMEOUT, NOW)
    for each in [landing_line(CALL_END, "a", 70), *others, nameless]:
        live.read(each)
        live.view(NOW)
    view = live.view(NOW)
    assert (view.feed[0].what, view.feed[0].phone) == ("analysed", "+12025550143")
    assert len(view.feed) == 60


def test_yesterdays_calls_do_not_count_today_even_when_they_are_sent_again() -> None:
    lines = [landing_line(CALL_START, "a", 1000), landing_line(CALL_START, "a", 5)]
    assert seen(lines).started == seen(lines[::-1]).started == 0


def test_a_new_day_starts_at_nothing_and_keeps_who_is_on_the_line() -> None:
    live = LiveCalls(ZoneInfo("UTC"), TIMEOUT, NOW)
    before_midnight, after = NOW + timedelta(hours=11.9), NOW + timedelta(hours=12.1)
    live.read(landing_line(CALL_START, "a", -11.9 * 60))
    assert active(live.view(before_midnight)) == ["a"]
    assert live.roll(after)
    view = live.view(after)
    assert (active(view), view.started) == (["a"], 0)
    live.read(landing_line(CALL_END, "a", -12.1 * 60))
    assert active(live.view(after)) == []


def feed_of(view: LiveView) -> list[tuple[str, str]]:
    return [(each.what, each.call_id) for each in view.feed]


def test_where_the_analysis_is_the_last_event_it_ends_the_call_too() -> None:
    lines = [landing_line(CALL_START, "a", 3, "vapi"), landing_line(ANALYTICS, "a", 1, "vapi")]
    view = seen([*lines, landing_line(ANALYTICS, "b", 0.5, "atoms")])
    assert (view.started, view.ended, view.analysed, view.active) == (1, 1, 2, [])
    assert feed_of(view) == [("analysed", "b"), ("analysed", "a"), ("ended", "a"), ("started", "a")]
    early = seen([*lines, landing_line(CALL_END, "a", 2, "vapi")])
    assert (early.ended, feed_of(early)[1]) == (1, ("ended", "a"))
    assert seen([landing_line(ANALYTICS, "a", 1, "bland", is_recovered=True)]).ended == 0


def test_imported_history_is_neither_news_nor_of_today() -> None:
    old = [
        landing_line(kind, f"old-{n}", 5 - n / 1000, is_recovered=True)
        for n in range(FEED + 500)
        for kind in (CALL_END, ANALYTICS)
    ]
    today = [landing_line(CALL_START, "lost", 90), landing_line(CALL_START, "on the line", 60)]
    view = seen([*today, b"".join(old), landing_line(CALL_END, "lost", 1, is_recovered=True)])
    assert (view.started, view.ended, view.analysed, active(view)) == (2, 1, 0, ["on the line"])
    assert feed_of(view) == [("ended", "lost"), ("started", "on the line"), ("started", "lost")]
    assert view.sources == {"atoms": NOW - timedelta(minutes=60)}


def test_the_oldest_event_that_waits_is_known_however_many_wait() -> None:
    starts = [landing_line(CALL_START, f"call-{n}", 60 - n / 60) for n in range(60 * 60)]
    view = seen([b"".join(starts), b"".join(starts[:10]).replace(b"T11:", b"T12:")])
    hour_ago, newest = NOW - timedelta(minutes=60), NOW - timedelta(minutes=1 / 60)
    assert view.oldest_after(None) == hour_ago
    waiting = view.oldest_after(hour_ago)
    assert waiting is not None
    assert timedelta(0) < waiting - hour_ago <= timedelta(seconds=10)
    assert view.oldest_after(newest - timedelta(seconds=5)) == newest - timedelta(seconds=4)
    assert view.oldest_after(newest) is None


def test_a_line_whose_fields_are_no_text_is_passed_over_and_the_others_are_not() -> None:
    good = landing_line(CALL_START, "a", 2)
    bad = [
        good.replace(b'"call_id":"a"', b'"call_id":"\xff"'),
        good.replace(b"+12025550143", b"+1202\xc3"),
        good.replace(b"+12025550143", b"\\q"),
        good.replace(b'"call_id":"a"', b'"call_id":"\\ud800"'),
        good.replace(b'"source":"atoms"', b'"source":null'),
        good.replace(b'"source":"atoms"', b'"source":"a\\"b"'),
    ]
    assert all(each != good for each in bad)
    view = seen([b"".join([*bad, landing_line(CALL_START, "b", 1), *bad])])
    assert (active(view), view.started, list(view.sources)) == (["b"], 1, ["atoms"])
    assert seen(bad) == seen([])


def test_a_line_that_the_receiver_did_not_write_is_passed_over() -> None:
    assert seen([b"{}", b"", b"\xff\xfe", b'{"event_id":"x"']) == seen([])


def fresh(now: datetime = NOW) -> LiveCalls:
    return LiveCalls(ZoneInfo("UTC"), TIMEOUT, now)


def length_line(kind: str, call: str, second: int, seconds: int, is_recovered: bool = False) -> bytes:
    """An event that says how long its call took."""
    event_id = f"recovered:{kind}:{call}" if is_recovered else None
    facts, body = Facts(event_id, kind, call), orjson.dumps({"duration_seconds": seconds})
    return line(seal("atoms", facts, body, NOW - timedelta(hours=1) + timedelta(seconds=second)), body)


def others(second: int) -> list[bytes]:
    """More ends of other calls than the feed shows, the same calls each time."""
    return [length_line(CALL_END, f"other-{n}", second, n) for n in range(SHOWN + 20)]


CALL_STARTED = length_line(CALL_START, "c", 0, 0)
FAR_APART: dict[str, list[bytes]] = {
    "the end long before the analytics": [
        length_line(CALL_END, "c", 1, 181),
        *others(2),
        length_line(ANALYTICS, "c", 3, 180),
    ],
    "the analytics long before the end": [
        length_line(ANALYTICS, "c", 1, 180),
        *others(2),
        length_line(CALL_END, "c", 3, 181),
    ],
    "the end before many repeats": [*others(1), length_line(CALL_END, "c", 2, 181), *others(3)],
    "an end and its repeat": [
        length_line(CALL_END, "c", 1, 181),
        *others(2),
        length_line(CALL_END, "c", 3, 190),
    ],
    "a recovered end, then the end": [
        length_line(CALL_END, "c", 1, 181, is_recovered=True),
        length_line(CALL_END, "c", 2, 190),
        *others(3),
    ],
    "the end, then a recovered end": [
        length_line(CALL_END, "c", 1, 181),
        length_line(CALL_END, "c", 2, 190, is_recovered=True),
    ],
    "both received at once": [
        length_line(CALL_END, "c", 1, 181, is_recovered=True),
        length_line(CALL_END, "c", 1, 190),
    ],
}


@pytest.mark.parametrize("name", FAR_APART)
def test_lengths_of_calls_are_the_same_in_however_many_pieces_lines_are_read(name: str) -> None:
    lines = [CALL_STARTED, *FAR_APART[name]]
    after_events = [n for n, each in enumerate(lines, 1) if b'"call_id":"c"' in each]
    views = []
    for cuts in ([], [max(2, len(lines) // 2)], after_events[1:], list(range(len(lines)))):
        live = fresh()
        for begin, end in pairwise([0, *cuts, len(lines)]):
            live.read(b"".join(lines[begin:end]))
        # more than the feed shows came after it
        live.read(b"".join(length_line(CALL_START, "newest", -60 + n, 0) for n in range(3)))
        views.append((live.view(NOW), live._happening(NOW, Step.END, "atoms:c").duration))
    assert views[1:] == views[:1] * 3
    assert views[0][1] == Duration(180 if "analytics" in name else 181)


def test_deliveries_that_came_again_in_a_later_segment_fill_no_feed() -> None:
    calls = FEED + 500
    first = [landing_line(CALL_START, f"call-{number}", 100 - number / 100) for number in range(calls)]
    again = [landing_line(CALL_START, f"call-{number}", 50 - number / 100) for number in range(calls)]
    running, restarted = fresh(), fresh()
    running.read(b"".join([*first, *again]))
    for segment in (again, first):
        restarted.read(b"".join(segment))
    restarted.settle()
    assert running.view(NOW).feed[0].at == NOW - timedelta(minutes=100 - (calls - 1) / 100)
    assert restarted.view(NOW) == running.view(NOW)


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=12), st.lists(st.sampled_from(KINDS), max_size=6))
def test_what_was_read_before_midnight_is_what_would_be_read_after_it(
    old: list[bytes], late: list[str]
) -> None:
    tomorrow = NOW + DAY
    new = [landing_line(kind, "a", -24 * 60 + 5 + number) for number, kind in enumerate(late)]
    rolled, read_then = fresh(), fresh(tomorrow)
    rolled.read(b"".join(old))
    rolled.roll(tomorrow)
    rolled.read(b"".join(new))
    today = [
        each for each in old if b'"received_at":' + MIDNIGHT[:-1] <= each[each.index(b'"received_at":') :]
    ]
    read_then.read(b"".join([*today, *new]))
    assert numbers(rolled.view(tomorrow)) == numbers(read_then.view(tomorrow))


def numbers(view: LiveView) -> tuple[object, ...]:
    return since(view.active), since(view.unended), view.started, view.ended, view.analysed
