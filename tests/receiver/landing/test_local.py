import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from receiver.landing import LandingUnavailable
from receiver.landing.local import LocalLandingStore
from receiver.landing.segment import Disk
from tests.homes import landing_of

ROOT = Path(__file__).parents[3]


def _lines(store: LocalLandingStore) -> list[bytes]:
    return [
        line
        for segment in store.segments()
        for line in store.read(segment.path).data.splitlines(keepends=True)
    ]


@pytest.fixture
def store(tmp_path: Path) -> LocalLandingStore:
    return LocalLandingStore(tmp_path / "landing")


def test_nothing_exists_before_the_first_append(tmp_path: Path) -> None:
    store = landing_of(tmp_path)
    assert list(store.segments()) == []
    assert list(tmp_path.iterdir()) == []
    store.append([b"{}\n"])
    assert len(list(store.segments())) == 1


def test_path_sorts_by_time_and_read_gives_whole_lines(store: LocalLandingStore) -> None:
    store.append([b'{"n":1}\n'])
    store.append([b'{"n":2}\n'])
    (segment,) = store.segments()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d/\d\d/\d{8}T\d{12}Z-[0-9a-f]{8}\.ndjson", segment.path)
    assert segment.size == 16
    assert store.read(segment.path).data == b'{"n":1}\n{"n":2}\n'
    assert store.read(segment.path, 8).data == b'{"n":2}\n'
    assert store.read(segment.path, 0, 10).next_offset == 8
    assert store.read(segment.path, 16) == type(store.read(segment.path))(b"", 16)
    assert list(store.segments(after=segment.path)) == []


@pytest.mark.parametrize("line", [b"", b"{}", b"\n{}", b"{}\n{}\n", b"{}\n\n"])
def test_only_one_line_is_taken(store: LocalLandingStore, line: bytes) -> None:
    with pytest.raises(ValueError, match="newline"):
        store.append([line])


@pytest.mark.parametrize("path", ["", "../../etc/passwd", "/etc/passwd", "2026-01-01/00/../x", "2026-01-01"])
def test_only_segments_are_read(store: LocalLandingStore, path: str) -> None:
    with pytest.raises(ValueError, match="landing segment"):
        store.read(path)


def test_line_longer_than_max_bytes_comes_whole(store: LocalLandingStore) -> None:
    long = b'{"t":"' + b"x" * 1_000_000 + b'"}\n'
    for line in (b"{}\n", long, b"[]\n"):
        store.append([line])
    (segment,) = store.segments()
    data, offset = [], 0
    while (chunk := store.read(segment.path, offset, 1000)).data:
        data.append(chunk.data)
        offset = chunk.next_offset
    assert data == [b"{}\n", long, b"[]\n"]


def test_torn_tail_is_passed_over_and_never_extended(tmp_path: Path) -> None:
    store = LocalLandingStore(tmp_path)
    store.append([b'{"n":1}\n'])
    (torn,) = store.segments()
    store.close()
    with (tmp_path / torn.path).open("ab") as file:
        file.write(b'{"n":2,"to')
    successor = LocalLandingStore(tmp_path)
    successor.append([b'{"n":3}\n'])
    assert successor.read(torn.path).next_offset == 8
    assert successor.read(torn.path, 8).data == b""
    assert successor.read(torn.path, 8, 2).data == b""
    assert _lines(successor) == [b'{"n":1}\n', b'{"n":3}\n']


def test_rolls_by_size_in_order(tmp_path: Path) -> None:
    store = LocalLandingStore(tmp_path, segment_bytes=100)
    lines = [b'{"n":%d}\n' % n for n in range(100)]
    for line in lines:
        store.append([line])
    segments = list(store.segments())
    assert len(segments) > 5
    assert segments == sorted(segments)
    assert _lines(store) == lines
    assert [s.path for s in store.segments(after=segments[2].path)] == [s.path for s in segments[3:]]


def test_threads_lose_nothing(tmp_path: Path) -> None:
    store = LocalLandingStore(tmp_path, segment_bytes=2000)

    def run(worker: int) -> None:
        for n in range(100):
            store.append([b'{"w":%d,"n":%d}\n' % (worker, n)])

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    landed = [json.loads(line) for line in _lines(store)]
    assert len(landed) == 1600
    for worker in range(16):
        assert [entry["n"] for entry in landed if entry["w"] == worker] == list(range(100))


def test_child_of_a_fork_has_a_segment_of_its_own(store: LocalLandingStore) -> None:
    store.append([b'"parent"\n'])
    child = os.fork()
    if child == 0:
        store.append([b'"child"\n'])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.append([b'"parent again"\n'])
    first, second = store.segments()
    assert store.read(first.path).data == b'"parent"\n"parent again"\n'
    assert store.read(second.path).data == b'"child"\n'


WRITER = """
import os, sys, threading
from pathlib import Path
from receiver.landing.local import LocalLandingStore
store = LocalLandingStore(Path(sys.argv[1]), segment_bytes=50_000)
def run(worker):
    n = 0
    while True:
        store.append([b'{"id":"%d-%d","pad":"%s"}\\n' % (worker, n, b"x" * (n % 3000))])
        os.write(1, b"%d-%d\\n" % (worker, n))
        n += 1
for worker in range(8):
    threading.Thread(target=run, args=(worker,)).start()
"""


def test_kill_9_keeps_everything_acknowledged(tmp_path: Path) -> None:
    generator = random.Random(7)
    store = LocalLandingStore(tmp_path)
    seen = 0
    for round_ in range(5):
        acknowledged = tmp_path / f"acknowledged-{round_}"
        before = [segment.path for segment in store.segments()]
        with acknowledged.open("wb") as out:
            writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=out, cwd=ROOT)
            while not acknowledged.stat().st_size and writer.poll() is None:
                time.sleep(0.005)
            time.sleep(generator.uniform(0, 0.4))
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        new = list(store.segments(after=max(before, default="")))
        landed = {
            json.loads(line)["id"] for s in new for line in store.read(s.path, 0, 1 << 30).data.splitlines()
        }
        ids = set(acknowledged.read_text().split("\n")[:-1])
        assert ids
        assert ids <= landed
        seen += len(ids)
    assert len(_lines(store)) >= seen


def test_full_disk_refuses_whole_lines_and_recovers(small_disk: Path) -> None:
    store = LocalLandingStore(small_disk / "landing")
    store.append([b'{"n":1}\n'])
    store.check()
    with pytest.raises(LandingUnavailable, match="No space left"):
        store.append([b'"' + b"x" * (2 << 20) + b'"\n'])
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"x" * (2 << 20))
    for _ in range(3):
        with pytest.raises(LandingUnavailable, match="No space left"):
            store.append([b'{"n":2}\n'])
    with pytest.raises(LandingUnavailable):
        store.check()
    assert _lines(store) == [b'{"n":1}\n']
    ballast.unlink()
    store.append([b'{"n":3}\n'])
    store.check()
    assert _lines(store) == [b'{"n":1}\n', b'{"n":3}\n']
    assert all(segment.size for segment in store.segments())


def test_read_only_disk_is_refused_and_recovers(small_disk: Path) -> None:
    store = LocalLandingStore(small_disk / "landing")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(LandingUnavailable, match="Read-only"):
        store.append([b"{}\n"])
    with pytest.raises(LandingUnavailable, match="Read-only"):
        store.check()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    store.append([b"{}\n"])
    assert _lines(store) == [b"{}\n"]


def test_failed_sync_abandons_the_segment(tmp_path: Path) -> None:
    # no real disk fails a sync on demand
    broken = threading.Event()

    def sync(fd: int) -> None:
        if broken.is_set():
            raise OSError(5, "Input/output error")
        os.fdatasync(fd)

    store = LocalLandingStore(tmp_path, disk=Disk(sync=sync))
    store.append([b'{"n":1}\n'])
    broken.set()
    with pytest.raises(LandingUnavailable, match="Input/output error"):
        store.append([b'{"n":2}\n'])
    broken.clear()
    store.append([b'{"n":3}\n'])
    assert [store.read(segment.path).data for segment in store.segments()] == [b'{"n":1}\n', b'{"n":3}\n']


def test_short_writes_are_completed_and_a_failed_rest_is_cut_back(tmp_path: Path) -> None:
    fails = threading.Event()

    def write(fd: int, data: bytes | memoryview) -> int:
        if fails.is_set() and len(data) < 6:
            raise OSError(28, "No space left on device")
        return os.write(fd, data[:3])

    store = LocalLandingStore(tmp_path, disk=Disk(write=write))
    store.append([b'{"n":1}\n'])
    fails.set()
    with pytest.raises(LandingUnavailable):
        store.append([b'{"n":2}\n'])
    fails.clear()
    store.append([b'{"n":3}\n'])
    assert _lines(store) == [b'{"n":1}\n', b'{"n":3}\n']


def test_failure_reaches_every_thread_of_the_batch_and_nobody_hangs(tmp_path: Path) -> None:
    broken = threading.Event()
    broken.set()

    def sync(fd: int) -> None:
        time.sleep(0.01)
        if broken.is_set():
            raise OSError(5, "Input/output error")

    store = LocalLandingStore(tmp_path, disk=Disk(sync=sync))
    outcomes: list[bool] = []

    def run() -> None:
        try:
            store.append([b"{}\n"])
            outcomes.append(True)
        except LandingUnavailable:
            outcomes.append(False)

    for expected in (False, True):
        outcomes.clear()
        threads = [threading.Thread(target=run) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert outcomes == [expected] * 16
        broken.clear()


def test_not_ready_below_the_wanted_space(tmp_path: Path) -> None:
    with pytest.raises(LandingUnavailable, match="bytes free"):
        LocalLandingStore(tmp_path, min_free_bytes=1 << 60).check()
    LocalLandingStore(tmp_path).check()
    assert list(LocalLandingStore(tmp_path).segments()) == []


def test_what_earlier_versions_stored_beside_a_segment_goes_with_it(store: LocalLandingStore) -> None:
    store.append([b"{}\n"])
    store.close()
    (segment,) = store.segments()
    path = store._file(segment.path)
    for name in (".digest", ".digest.part"):
        path.with_name(path.name + name).write_bytes(b"+12025550143")
    archived = store.compact(segment)
    assert list(store.segments()) == [archived]
    store.remove(segment.path)
    assert not path.parent.exists()
