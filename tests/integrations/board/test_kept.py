"""What is kept beside a segment is what its lines say, or it is not used."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.board import kept, landing_feed
from integrations.board.call_state import DONE, END, FEED, Digest, digest_of
from integrations.board.envelope import ANALYTICS, CALL_END, CALL_START
from integrations.board.live_calls import SHOWN, Live, LiveView
from receiver.envelope import Facts, line, seal
from receiver.landing import LandingStore
from receiver.landing.local import LocalLandingStore
from tests.conftest import ROOT
from tests.homes import landing_of
from tests.integrations.board.test_landing_feed import shown, write_segment
from tests.integrations.board.test_live_calls import EVENTS, NOW, TIMEOUT, fold, landing_line, since

DAY = timedelta(days=1)
MIDNIGHT = b'"%s"' % NOW.strftime("%Y-%m-%dT00:00:00").encode()
KINDS = (CALL_START, CALL_END, ANALYTICS)


def fresh(now: datetime = NOW) -> Live:
    return Live(ZoneInfo("UTC"), TIMEOUT, now)


def landed(home: Path, segments: list[list[bytes]]) -> LandingStore:
    """A landing store with these segments, closed."""
    for lines in segments:
        writer = landing_of(home)
        writer.append(lines)
        writer.close()
    return landing_of(home)


def keep(store: LandingStore, path: str, begin: int, lines: list[bytes]) -> int:
    """Keep lines of a segment; where they end."""
    data = b"".join(lines)
    kept.keep(store, path, digest_of(data, begin))
    return begin + len(data)


def restarted(store: LandingStore) -> Live:
    """What is known from digests and, where they end, from lines."""
    live, ends = fresh(), {}
    for segment in store.segments():
        digest = kept.load(store, segment.path)
        if digest is not None and live.can_add(digest):
            live.add(digest)
            ends[segment.path] = digest.end
    for segment in reversed(list(store.segments())):
        fold(live, store.read(segment.path, ends.get(segment.path, 0)).data)
    return live


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(EVENTS, min_size=1, max_size=8), st.lists(st.integers(0, 8), max_size=3), st.booleans()
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_kept_of_some_lines_and_the_others_say_together_what_all_lines_say(
    segments: list[tuple[list[bytes], list[int], bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = landed(Path(folder), [lines for lines, _, _ in segments])
        for segment, (lines, cuts, is_archived) in zip(list(store.segments()), segments, strict=True):
            done = end = 0
            for cut in sorted(cuts):
                end, done = keep(store, segment.path, end, lines[done:cut]), max(done, min(cut, len(lines)))
            if is_archived:
                store.compact(segment)
        said = restarted(store).view(NOW)
    live = fresh()
    for lines, _, _ in segments:
        for each in lines:
            fold(live, each)
    assert said == live.view(NOW)


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
def test_lengths_of_calls_are_the_same_in_however_many_pieces_lines_are_read(
    tmp_path: Path, name: str
) -> None:
    lines = [CALL_STARTED, *FAR_APART[name]]
    store, live = landed(tmp_path, [lines]), fresh()
    fold(live, b"".join(lines))
    (segment,) = store.segments()
    whole = kept_of(store, segment.path, segment.size)
    spans = whole.details[b'"atoms""c"'].spans
    assert {bit: span.seconds for bit, span in spans.items()} == (
        {END: 181, DONE: 180} if "analytics" in name else {END: 181}
    )
    after_events = [n for n, each in enumerate(lines, 1) if b'"call_id":"c"' in each]
    for cuts in ([], [max(2, len(lines) // 2)], after_events[1:]):
        store.keep_digest(segment.path, b"")
        end = done = 0
        for cut in (*cuts, len(lines)):
            end, done = keep(store, segment.path, end, lines[done:cut]), cut
        assert kept.load(store, segment.path) == whole
        assert restarted(store).view(NOW) == live.view(NOW)


def test_deliveries_that_came_again_in_a_later_segment_fill_no_feed(tmp_path: Path) -> None:
    calls = FEED + 500
    first = [landing_line(CALL_START, f"call-{number}", 100 - number / 100) for number in range(calls)]
    again = [landing_line(CALL_START, f"call-{number}", 50 - number / 100) for number in range(calls)]
    store, live = landed(tmp_path, [first, again]), fresh()
    for each in (*first, *again):
        fold(live, each)
    running = live.view(NOW)
    assert running.feed[0].at == NOW - timedelta(minutes=100 - (calls - 1) / 100)
    assert restarted(store).view(NOW) == running
    for segment, lines in zip(store.segments(), (first, again), strict=True):
        keep(store, segment.path, 0, lines)
    assert restarted(store).view(NOW) == running


def test_news_among_more_repeats_than_the_feed_holds_are_still_news_after_a_restart(tmp_path: Path) -> None:
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
    store = landing_of(tmp_path)
    shown(store, tmp_path)
    for segment in (1, 2):
        land(segment, [*news, *calls], 30)
        for _ in ("running", "restarted"):
            view = shown(store, tmp_path)[-1]
            assert [each.call_id for each in view.feed] == news[::-1][:60]


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=12), st.lists(st.sampled_from(KINDS), max_size=6))
def test_what_was_read_before_midnight_is_what_would_be_read_after_it(
    old: list[bytes], late: list[str]
) -> None:
    tomorrow = NOW + DAY
    new = [landing_line(kind, "a", -24 * 60 + 5 + number) for number, kind in enumerate(late)]
    rolled, read_then = fresh(), fresh(tomorrow)
    fold(rolled, b"".join(old))
    rolled.roll(tomorrow)
    fold(rolled, b"".join(new))
    today = [
        each for each in old if b'"received_at":' + MIDNIGHT[:-1] <= each[each.index(b'"received_at":') :]
    ]
    fold(read_then, b"".join([*today, *new]))
    assert numbers(rolled.view(tomorrow)) == numbers(read_then.view(tomorrow))


def numbers(view: LiveView) -> tuple[object, ...]:
    return since(view.active), since(view.unended), view.started, view.ended, view.analysed


def test_what_is_read_is_kept_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_feed, "KEEP_LINES", 2)
    monkeypatch.setattr(landing_feed, "_PIECE", 600)
    write_segment(tmp_path, "a", datetime.now(UTC))
    store = landing_of(tmp_path)
    (segment,) = store.segments()
    shown(store, tmp_path)
    assert kept.load(store, segment.path) == kept_of(store, segment.path, segment.size)


Spoil = Callable[[Path, Path], object]
"""Is given a segment and its digest."""
SPOILED: dict[str, Spoil] = {
    "missing": lambda _, digest: digest.unlink(),
    "empty": lambda _, digest: digest.write_bytes(b""),
    "torn": lambda _, digest: os.truncate(digest, digest.stat().st_size // 2),
    "without its last byte": lambda _, digest: os.truncate(digest, digest.stat().st_size - 1),
    "with a wrong byte": lambda _, digest: digest.write_bytes(digest.read_bytes().replace(b"a-3", b"a-9")),
    "of another form": lambda _, digest: rewrite(digest, b'{"form":2', b'{"form":1'),
    "of something else": lambda _, digest: rewrite(digest, digest.read_bytes()[9:], b"[]\n\n"),
    "of another segment": lambda segment, digest: rewrite(digest, segment.name[:8].encode(), b"20200101"),
    "of more than is there": lambda segment, _: os.truncate(
        segment, segment.read_bytes().rindex(b"\n", 0, -1) + 1
    ),
    "of other lines": lambda segment, _: segment.write_bytes(segment.read_bytes().replace(b"a-", b"b-")),
}


def rewrite(digest: Path, old: bytes, new: bytes) -> None:
    """Another content with a checksum that fits."""
    body = digest.read_bytes()[9:].replace(old, new)
    digest.write_bytes(b"%08x\n" % zlib.crc32(body) + body)


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_digest_that_does_not_fit_is_not_used_and_made_again(tmp_path: Path, spoil: Spoil) -> None:
    write_segment(tmp_path, "a", datetime.now(UTC))
    store = landing_of(tmp_path)
    shown(store, tmp_path)
    (segment,) = (tmp_path / "landing").rglob("*.ndjson")
    spoil(segment, digest := segment.with_name(segment.name + ".digest"))
    (path,) = (each.path for each in store.segments())
    assert kept.load(store, path) is None
    read = shown(store, tmp_path)[-1]
    digest.unlink()
    assert read == shown(store, tmp_path)[-1]
    assert kept.load(store, path) == kept_of(store, path, segment.stat().st_size)


KEEPING = """
import sys
from pathlib import Path
from integrations.board import kept
from integrations.board.call_state import digest_of
from receiver.landing import open_landing
store = open_landing((Path(sys.argv[1]) / "landing").as_uri())
(segment,) = store.segments()
print("begun", flush=True)
while True:
    end = 0
    while (chunk := store.read(segment.path, end, 100_000)).data:
        kept.keep(store, segment.path, digest_of(chunk.data, end))
        end = chunk.next_offset
    store.keep_digest(segment.path, b"")
"""


def test_killed_while_it_is_written_it_is_whole_or_none(tmp_path: Path) -> None:
    lines = [landing_line(KINDS[n % 3], f"call-{n // 3}", 60 - n / 1000) for n in range(5000)]
    store, dice = landed(tmp_path, [lines]), random.Random(5)
    (segment,) = store.segments()
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", KEEPING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(dice.random() / 3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        digest = kept.load(store, segment.path)
        assert digest is None or digest == kept_of(store, segment.path, digest.end)
        assert [each.path for each in store.segments()] == [segment.path]


def test_one_that_cannot_be_kept_costs_only_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_segment(tmp_path, "a", datetime.now(UTC))
    (segment,) = (tmp_path / "landing").rglob("*.ndjson")
    segment.with_name(segment.name + ".digest.part").mkdir()
    store = landing_of(tmp_path)
    assert shown(store, tmp_path)[-1] == shown(store, tmp_path)[-1]
    assert "cannot be kept" in caplog.text


def test_what_was_kept_of_another_landing_store_is_not_used(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    write_segment(tmp_path, "first", now)
    assert len(shown(landing_of(tmp_path), tmp_path)[-1].active) == 3
    shutil.rmtree(tmp_path / "landing")
    write_segment(tmp_path, "second", now)
    assert [call.call_id[:6] for call in shown(landing_of(tmp_path), tmp_path)[-1].active] == ["second"] * 3


def kept_of(store: LandingStore, path: str, end: int) -> Digest:
    """What would be kept of a segment's first bytes had they been read at once."""
    data = store.read(path, 0, end).data
    with tempfile.TemporaryDirectory() as folder:
        other = LocalLandingStore(Path(folder))
        file = Path(folder) / path
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        kept.keep(other, path, digest_of(data))
        digest = kept.load(other, path)
    assert digest is not None
    return digest
