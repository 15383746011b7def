"""A load while the receiver goes on writing, with more waiting than one dlt load takes; real files."""

import threading
from datetime import UTC, datetime
from pathlib import Path

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from receiver.envelope import Facts, line, seal
from receiver.landing import LandingStore
from tests.homes import landing_of

WAITING = 30
MOST_WRITTEN = 3_000


def append(store: LandingStore, number: int) -> int:
    """One event, every one of the same size, which is given."""
    body = b'{"call_id": "%08d"}' % number
    moment = datetime(2026, 11, 2, 8, tzinfo=UTC)
    landed = line(seal("generic", Facts(call_id=f"{number:08}"), body, moment), body)
    store.append([landed])
    return len(landed)


def test_a_load_ends_with_what_waited_when_it_began(tmp_path: Path) -> None:
    """In several loads of a limited size, none of which takes what lands meanwhile."""
    store, ended = landing_of(tmp_path), threading.Event()
    size = {append(store, number) for number in range(WAITING)}.pop()
    written = WAITING

    def write() -> None:
        nonlocal written
        while not ended.wait(0.01) and written < MOST_WRITTEN:
            append(store, written)
            written += 1

    settings = OrchestrationSettings(home=tmp_path, load_max_bytes=10 * size, load_chunk_bytes=4 * size)
    loads: list[int] = []
    writer = threading.Thread(target=write)

    def begin_writing(done: int, total: int) -> None:
        assert total == WAITING * size
        if not loads:
            writer.start()
        loads.append(done)

    report = pipeline.load_events(settings, begin_writing)
    ended.set()
    writer.join()
    store.close()
    assert loads == [10 * size, 20 * size, 30 * size]
    assert report.rows["call_events"] == WAITING
    assert report.read_bytes == WAITING * size
    late = pipeline.load_events(settings.model_copy(update={"load_max_bytes": 1 << 30}))
    assert late.rows["call_events"] == written - WAITING > 0
    assert late.read_bytes == (written - WAITING) * size
    assert pipeline.landing_backlog(settings) == 0


def test_a_line_larger_than_one_load_is_loaded(tmp_path: Path) -> None:
    store = landing_of(tmp_path)
    size = append(store, 0)
    append(store, 1)
    store.close()
    settings = OrchestrationSettings(home=tmp_path, load_max_bytes=size // 2)
    assert pipeline.load_events(settings).rows["call_events"] == 2
