import asyncio
import threading
from collections.abc import Sequence

from receiver.landing import LandingUnavailable
from receiver.landing.commit import GroupCommit


class Disk:
    """Takes a batch when it is let, and fails when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.seen: list[tuple[int, str | None]] = []
        self.let = threading.Event()
        self.let.set()
        self.broken = False

    def append(self, lines: Sequence[bytes]) -> None:
        self.let.wait(20)
        if self.broken:
            raise LandingUnavailable("broken")
        self.batches.append(list(lines))

    def commit(self) -> GroupCommit:
        return GroupCommit(
            asyncio.get_running_loop(), self.append, lambda lines, _, why: self.seen.append((lines, why))
        )


async def _outcomes(commit: GroupCommit, lines: Sequence[bytes]) -> list[str]:
    """What each of several requests at once was told."""
    outcomes = await asyncio.gather(*(commit.append(line) for line in lines), return_exceptions=True)
    return [str(outcome) for outcome in outcomes]


def test_what_comes_at_once_is_one_batch_in_order() -> None:
    disk = Disk()
    lines = [b"%d\n" % number for number in range(50)]
    assert asyncio.run(_with(disk, lines)) == ["None"] * 50
    assert disk.batches == [lines]
    assert disk.seen == [(50, None)]


async def _with(disk: Disk, lines: Sequence[bytes]) -> list[str]:
    return await _outcomes(disk.commit(), lines)


def test_what_comes_while_the_disk_is_busy_is_the_next_batch() -> None:
    async def run() -> None:
        commit = disk.commit()
        disk.let.clear()
        waiting = []
        for line in (b"1\n", b"2\n", b"3\n"):
            waiting.append(asyncio.create_task(commit.append(line)))
            await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        disk.let.set()
        await asyncio.gather(*waiting)

    disk = Disk()
    asyncio.run(run())
    assert disk.batches == [[b"1\n"], [b"2\n", b"3\n"]]


def test_a_failure_reaches_its_whole_batch_and_nobody_else() -> None:
    async def run() -> None:
        commit = disk.commit()
        disk.broken = True
        assert await _outcomes(commit, [b"1\n"] * 8) == ["broken"] * 8
        disk.broken = False
        assert await _outcomes(commit, [b"2\n"] * 8) == ["None"] * 8

    disk = Disk()
    asyncio.run(run())
    assert disk.batches == [[b"2\n"] * 8]
    assert disk.seen == [(8, "broken"), (8, None)]


def test_who_was_given_up_is_not_written_later_unless_the_disk_has_it_already() -> None:
    async def run() -> None:
        commit = disk.commit()
        disk.let.clear()
        asked = asyncio.create_task(_outcomes(commit, [b"asked\n"]))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(_outcomes(commit, [b"waiting\n"]))
        await asyncio.sleep(0.1)
        commit.give_up(60)
        assert not asked.done()
        commit.give_up(0.01)
        assert await asked == await waiting == ["no answer from the disk in 0.01 s"]
        disk.let.set()
        assert await _outcomes(commit, [b"later\n"]) == ["None"]

    disk = Disk()
    asyncio.run(run())
    assert disk.batches == [[b"asked\n"], [b"later\n"]]
