"""What is on disk when an append returns: by writes, syncs, and what a power cut would take."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from receiver.landing.archive import sync_folder
from receiver.landing.local import LocalLandingStore
from receiver.landing.segment import Disk


@dataclass
class Recorder:
    """A real disk that also notes what one process has made durable: names by folder, and the sizes of files."""

    writes: int = 0
    syncs: int = 0
    names: dict[Path, set[str]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.writes += 1
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)
        self.syncs += 1
        status = os.fstat(fd)
        self.sizes[status.st_ino] = status.st_size

    def sync_folder(self, folder: Path) -> None:
        sync_folder(folder)
        self.names[folder] = {path.name for path in folder.iterdir()}

    @property
    def disk(self) -> Disk:
        return Disk(self.write, self.sync, self.sync_folder)

    def lost(self, segment: Path, top: Path) -> list[Path]:
        """What of a segment, and of the folders that lead to it from `top`, a power cut may take."""
        steps = [segment, *segment.parents]
        folders = [
            step for step in steps[: steps.index(top)] if step.name not in self.names.get(step.parent, ())
        ]
        status = segment.stat()
        return folders + [segment] * (self.sizes.get(status.st_ino) != status.st_size)


def test_lines_handed_over_together_take_one_write_and_one_sync(tmp_path: Path) -> None:
    recorder = Recorder()
    store = LocalLandingStore(tmp_path, disk=recorder.disk)
    for batch in (1, 2):
        store.append([b'{"n":%d}\n' % n for n in range(50)])
        assert (recorder.writes, recorder.syncs) == (batch, batch)
    (segment,) = store.segments()
    assert recorder.sizes == {(tmp_path / segment.path).stat().st_ino: segment.size}


def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    root = tmp_path / "home" / "landing"
    # two workers: whatever the first has made may not be on disk when the second answers
    workers = [Recorder(), Recorder()]
    stores = [LocalLandingStore(root, segment_bytes=20, disk=worker.disk) for worker in workers]
    segments: list[set[Path]] = [set(), set()]
    for n in range(12):
        which = n % 2
        stores[which].append([b'{"n":%d}\n' % n])
        segments[which] |= {root / segment.path for segment in stores[which].segments()} - segments[not which]
        assert [lost for segment in segments[which] for lost in workers[which].lost(segment, tmp_path)] == []
    assert min(map(len, segments)) > 1
