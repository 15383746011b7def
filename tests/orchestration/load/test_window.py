"""A span of time over the landing store: no segment that may hold its events is left out."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from orchestration.load.window import Window
from tests.homes import landing_of

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def land(home: Path, opened: datetime, written: datetime) -> str:
    path = f"{opened:%Y-%m-%d/%H/%Y%m%dT%H%M%S%f}Z-0000000a.ndjson"
    file = home / "landing" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"{}\n")
    os.utime(file, (written.timestamp(), written.timestamp()))
    return path


def held(home: Path, since: datetime, until: datetime) -> list[str]:
    return [segment.path for segment in Window(since, until).segments(landing_of(home))]


@pytest.mark.parametrize("archived", [False, True])
def test_segments_of_other_hours_are_passed_over(tmp_path: Path, archived: bool) -> None:
    hour = timedelta(hours=1)
    paths = [land(tmp_path, NOON + n * hour, NOON + n * hour + timedelta(minutes=50)) for n in range(-5, 6)]
    store = landing_of(tmp_path)
    if archived:
        for segment in list(store.segments()):
            store.compact(segment)
    found = held(tmp_path, NOON, NOON + timedelta(minutes=10))
    assert paths[5] in found
    assert set(paths) - set(found) >= {*paths[:4], *paths[8:]}


def test_a_clock_set_back_while_a_writer_lived_hides_nothing(tmp_path: Path) -> None:
    # its paths keep their order, so the stamp is of the time before the clock was set; the lines are of after
    path = land(tmp_path, NOON, NOON - timedelta(hours=7))
    assert held(tmp_path, NOON - timedelta(hours=7, minutes=5), NOON - timedelta(hours=7)) == [path]


def test_a_copy_without_its_time_of_writing_is_still_found(tmp_path: Path) -> None:
    path = land(tmp_path, NOON, NOON + timedelta(days=300))
    assert held(tmp_path, NOON + timedelta(minutes=3), NOON + timedelta(minutes=4)) == [path]


def test_since_is_in_and_until_is_out() -> None:
    moments = [NOON + timedelta(microseconds=n) for n in range(-1, 4)]
    received = pa.array([moment.replace(tzinfo=None) for moment in moments], pa.timestamp("us"))
    events = pa.table({"received_at": received, "n": pa.array([0, 1, 2, 3, 4])})
    window = Window(NOON, NOON + timedelta(microseconds=2))
    assert window.only(events)["n"].to_pylist() == [1, 2]
