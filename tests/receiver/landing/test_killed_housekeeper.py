"""A housekeeper that is killed at every step of archiving and removing a segment."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from receiver.landing.local import LocalLandingStore
from tests.receiver.landing.test_archive import ROOT, chunks, files, landed, one

KILLED = """
import os, signal, sys
from pathlib import Path
import pyzstd
from receiver.landing.local import LocalLandingStore
left = int(sys.argv[2])
def deadly(real):
    def call(*arguments, **more):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **more)
    return call
for name in ("fsync", "replace", "unlink", "utime", "fchmod", "rmdir"):
    setattr(os, name, deadly(getattr(os, name)))
pyzstd.SeekableZstdFile.write = deadly(pyzstd.SeekableZstdFile.write)
store = LocalLandingStore(Path(sys.argv[1]))
for segment in store.segments():
    store.remove(segment.path) if segment.is_archived else store.compact(segment)
"""


def test_killed_at_every_step_it_is_readable_exactly_once(tmp_path: Path) -> None:
    original = tmp_path / "original"
    listed = one(landed(original, torn=b'{"n'))
    whole = chunks(LocalLandingStore(original), listed.path, 1 << 20)
    seen, steps = set[tuple[str, ...]](), 0
    while True:
        root = tmp_path / f"{steps}"
        shutil.copytree(original, root, copy_function=shutil.copy2)
        killed = subprocess.run([sys.executable, "-c", KILLED, root, str(steps)], cwd=ROOT, check=False)
        store = LocalLandingStore(root)
        assert one(store) == listed
        assert chunks(store, listed.path, 1 << 20) == whole
        seen.add(tuple(name.partition(".")[2] for name in files(root)))
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
        if not one(store).is_archived:
            store.compact(one(store))
        assert files(root) == [Path(listed.path).name + ".zst"]
        assert chunks(store, listed.path, 1 << 20) == whole
        steps += 1
    assert seen == {
        ("ndjson", "ndjson.zst.part"), ("ndjson", "ndjson.zst"), ("ndjson.zst",),
    }  # fmt: skip
    assert steps > 8


def test_killed_at_every_step_of_a_removal_it_is_whole_or_gone(tmp_path: Path) -> None:
    original = tmp_path / "original"
    store = landed(original)
    archived = store.compact(one(store))
    whole = chunks(store, archived.path, 1 << 20)
    seen, steps = set[int](), 0
    while True:
        root = tmp_path / f"{steps}"
        shutil.copytree(original, root, copy_function=shutil.copy2)
        killed = subprocess.run([sys.executable, "-c", KILLED, root, str(steps)], cwd=ROOT, check=False)
        store = LocalLandingStore(root)
        left = list(store.segments())
        assert left in ([archived], [])
        assert len(files(root)) == len(left)
        assert not left or chunks(store, archived.path, 1 << 20) == whole
        seen.add(len(left))
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
        store.remove(archived.path)
        assert files(root) == []
        store.append([b"{}\n"])
        assert len(list(store.segments())) == 1
        steps += 1
    assert seen == {0, 1}
    assert steps >= 4
