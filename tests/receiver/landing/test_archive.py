"""Closed segments, compressed: the same to every reader, whole at every moment, never one that is still written."""

import fcntl
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import astuple
from pathlib import Path

import pytest

from receiver.landing import Chunk, Segment, SegmentDamaged, SegmentOpen
from receiver.landing.local import LocalLandingStore

ROOT = Path(__file__).parents[3]


def landed(root: Path, count: int = 150, size: int = 60_000, torn: bytes = b"") -> LocalLandingStore:
    """A store with one closed segment of several frames, and its writer gone."""
    dice = random.Random(11)
    store = LocalLandingStore(root)
    lines = (
        b'{"n":%d,"pad":"%s"}\n' % (n, dice.randbytes(dice.randrange(size)).hex().encode())
        for n in range(count)
    )
    store._writer.write(list(lines))
    store.close()
    if torn:
        (segment,) = store.segments()
        with (root / segment.path).open("ab") as file:
            file.write(torn)
    return LocalLandingStore(root)


def one(store: LocalLandingStore) -> Segment:
    (segment,) = store.segments()
    return segment


def chunks(store: LocalLandingStore, path: str, max_bytes: int, offset: int = 0) -> list[Chunk]:
    parts_read = []
    while (chunk := store.read(path, offset, max_bytes)).data:
        parts_read.append(chunk)
        offset = chunk.next_offset
    return parts_read


def files(root: Path) -> list[str]:
    return sorted(file.name for file in root.rglob("*") if file.is_file())


def test_an_archived_segment_is_the_same_to_a_reader(tmp_path: Path) -> None:
    store = landed(tmp_path, torn=b'{"n":')
    before = one(store)
    read = {size: chunks(store, before.path, size) for size in (1_000, 70_000, 4 << 20, 1 << 30)}
    store.compact(before)
    after = one(store)
    assert after == before
    assert after.written_at == before.written_at
    assert after.is_archived
    assert not before.is_archived
    assert stat.S_IMODE((tmp_path / f"{before.path}.zst").stat().st_mode) == 0o600
    assert after.stored_bytes < before.stored_bytes == before.size
    assert files(tmp_path) == [Path(before.path).name + ".zst"]
    assert {size: chunks(store, before.path, size) for size in read} == read
    middle = read[70_000][20]
    assert store.read(before.path, middle.next_offset, 70_000) == read[70_000][21]
    assert store.read(before.path, read[1_000][-1].next_offset) == Chunk(b"", read[1_000][-1].next_offset)
    assert store.read(before.path, before.size) == Chunk(b"", before.size)


def test_any_zstd_tool_reads_it(tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("needs the zstd command: make systems")
    store = landed(tmp_path)
    segment = one(store)
    plain = (tmp_path / segment.path).read_bytes()
    store.compact(segment)
    shown = subprocess.run(["zstd", "-dc", tmp_path / f"{segment.path}.zst"], capture_output=True, check=True)
    assert shown.stdout == plain


def test_a_reader_that_listed_before_reads_after(tmp_path: Path) -> None:
    store = landed(tmp_path)
    listed = one(store)
    plain = chunks(store, listed.path, 1 << 20)
    store.compact(listed)
    assert chunks(store, listed.path, 1 << 20) == plain


def test_readers_find_every_segment_once_while_all_are_archived(tmp_path: Path) -> None:
    writer = LocalLandingStore(tmp_path, segment_bytes=1)
    for n in range(300):
        writer.append([b'{"n":%d}\n' % n])
    writer.close()
    store, wrong = LocalLandingStore(tmp_path), list[object]()
    segments = list(store.segments())
    done = threading.Event()

    def look() -> None:
        reader = LocalLandingStore(tmp_path)
        while not done.is_set():
            names_listed = list(reader.segments())
            numbers = [reader.read(segment.path).data for segment in names_listed]
            if names_listed != segments or numbers != [b'{"n":%d}\n' % n for n in range(300)]:
                wrong.append((len(names_listed), numbers))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for segment in segments:
        store.compact(segment)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert all(segment.is_archived for segment in store.segments())


WRITER = """
import sys, time
from pathlib import Path
from receiver.landing.local import LocalLandingStore
store = LocalLandingStore(Path(sys.argv[1]))
store.append([b'{"n":1}\\n'])
print("landed", flush=True)
sys.stdin.readline()
store.append([b'{"n":2}\\n'])
print("landed", flush=True)
time.sleep(600)
"""


def test_a_segment_is_open_as_long_as_its_writer_lives_whatever_the_clock_says(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        writer.stdout.readline()
        store = LocalLandingStore(tmp_path)
        os.utime(tmp_path / one(store).path, (0, 0))
        with pytest.raises(SegmentOpen, match="writing"):
            store.compact(one(store))
        writer.stdin.write("\n")
        writer.stdin.flush()
        writer.stdout.readline()
        assert store.read(one(store).path).data == b'{"n":1}\n{"n":2}\n'
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    store.compact(one(store))
    assert store.read(one(store).path).data == b'{"n":1}\n{"n":2}\n'


def test_of_several_writers_only_those_that_ended_give_their_segments_up(tmp_path: Path) -> None:
    first, second = LocalLandingStore(tmp_path), LocalLandingStore(tmp_path)
    first.append([b'{"n":1}\n'])
    second.append([b'{"n":2}\n'])
    held, free = first.segments()
    second.close()
    first.compact(free)
    with pytest.raises(SegmentOpen):
        first.compact(held)
    first.append([b'{"n":3}\n'])
    assert [first.read(segment.path).data for segment in first.segments()] == [
        b'{"n":1}\n{"n":3}\n', b'{"n":2}\n',
    ]  # fmt: skip


def test_a_fork_of_the_writer_does_not_close_its_segment(tmp_path: Path) -> None:
    store = LocalLandingStore(tmp_path)
    store.append([b'{"n":1}\n'])
    child = os.fork()
    if child == 0:
        store.append([b'"child"\n'])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    own_segment, childs = store.segments()
    with pytest.raises(SegmentOpen):
        store.compact(own_segment)
    store.compact(childs)


def test_what_grew_or_is_empty_is_left_alone(tmp_path: Path) -> None:
    store = landed(tmp_path)
    listed = one(store)
    with (tmp_path / listed.path).open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(SegmentOpen, match="changed"):
        store.compact(listed)
    (tmp_path / listed.path).write_bytes(b"")
    with pytest.raises(SegmentOpen, match="nothing"):
        store.compact(one(store))
    assert files(tmp_path) == [Path(listed.path).name]


def test_two_at_once_make_one_archive(tmp_path: Path) -> None:
    store = landed(tmp_path)
    segment = one(store)
    plain = chunks(store, segment.path, 1 << 20)
    outcomes: list[str] = []

    def archive() -> None:
        try:
            LocalLandingStore(tmp_path).compact(segment)
            outcomes.append("done")
        except (SegmentOpen, FileNotFoundError):
            outcomes.append("left")

    threads = [threading.Thread(target=archive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "left", "left", "left"]
    assert chunks(store, segment.path, 1 << 20) == plain


# every call that changes the disk, one more let through at each round, then SIGKILL
def test_an_archive_that_says_something_else_is_not_overwritten(tmp_path: Path) -> None:
    store = landed(tmp_path)
    segment = one(store)
    plain = (tmp_path / segment.path).read_bytes()
    store.compact(segment)
    (tmp_path / segment.path).write_bytes(plain[: len(plain) // 2])
    with pytest.raises(SegmentDamaged, match="move one"):
        store.compact(one(store))
    (tmp_path / segment.path).unlink()
    assert b"".join(chunk.data for chunk in chunks(store, segment.path, 1 << 20)) == plain


def test_a_full_disk_leaves_the_segment_as_it_was(small_disk: Path) -> None:
    store = landed(small_disk / "landing", count=230, size=3_000)
    segment = one(store)
    with pytest.raises(OSError, match="No space left"):
        store.compact(segment)
    assert files(small_disk) == [Path(segment.path).name]
    assert one(store) == segment


@pytest.mark.parametrize("cut", [slice(None, -100), slice(None, 20), slice(0)])
def test_a_damaged_archive_is_named_and_stops_no_listing(tmp_path: Path, cut: slice) -> None:
    store = landed(tmp_path)
    segment = one(store)
    store.compact(segment)
    archive = tmp_path / f"{segment.path}.zst"
    archive.write_bytes(archive.read_bytes()[cut] or b"no archive")
    assert [one.path for one in store.segments()] == [segment.path]
    with pytest.raises(SegmentDamaged, match="restore it"):
        store.read(segment.path)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    store = landed(tmp_path)
    segment = one(store)
    store.compact(segment)
    archive = tmp_path / f"{segment.path}.zst"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    with pytest.raises(SegmentDamaged, match="restore it"):
        chunks(store, segment.path, 1 << 20)


def test_removing_takes_the_archive_and_the_folders_it_empties(tmp_path: Path) -> None:
    store = landed(tmp_path / "landing")
    segment = one(store)
    store.remove(segment.path)  # a plain segment is not removed
    assert one(store) == segment
    store.compact(segment)
    store.remove(segment.path)
    store.remove(segment.path)
    assert list(store.segments()) == []
    assert list((tmp_path / "landing").iterdir()) == []
    with pytest.raises(FileNotFoundError):
        store.read(segment.path)
    store.append([b"{}\n"])
    assert len(list(store.segments())) == 1


def test_archived_segments_can_be_left_out_up_to_a_path(tmp_path: Path) -> None:
    writer = LocalLandingStore(tmp_path, segment_bytes=1)
    for n in range(4):
        writer.append([b'{"n":%d}\n' % n])
    writer.close()
    first, second, third, last = writer.segments()
    for segment in (first, third):
        writer.compact(segment)
    assert list(writer.segments(archived_after=second.path)) == [second, third, last]
    assert list(writer.segments(archived_after=third.path)) == [second, last]
    assert [astuple(segment)[0] for segment in writer.segments()] == [
        segment.path for segment in (first, second, third, last)
    ]


def test_a_lock_held_elsewhere_is_respected(tmp_path: Path) -> None:
    store = landed(tmp_path)
    with (tmp_path / one(store).path).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(SegmentOpen):
            store.compact(one(store))
