"""A disk that is full, nearly full, or read-only, under a running receiver. On a small disk of the test's own."""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.homes import landing_of

Started = tuple[str, Path, subprocess.Popen[bytes]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """8 MiB; where it cannot be mounted the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _post(url: str, body: bytes) -> requests.Response:
    headers = {"Content-Type": "application/json"}
    return requests.post(f"{url}/webhooks/atoms", data=body, headers=headers, timeout=60)


def _ready(url: str) -> str:
    """Why the receiver is not ready, or nothing if it is."""
    answer = requests.get(f"{url}/readyz", timeout=20)
    return "" if answer.ok else str(answer.json()["detail"])


def _refused(answer: requests.Response) -> bool:
    return answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


def _landed(home: Path) -> list[object]:
    """Every payload, read from whole files: half a line would be an error."""
    store = landing_of(home)
    lines = [line for s in store.segments() for line in (home / "landing" / s.path).read_bytes().splitlines()]
    return [json.loads(line)["payload"] for line in lines]


def _fill(disk: Path, leave: int) -> Path:
    ballast = disk / "ballast"
    free = int(subprocess.check_output(["stat", "-f", "-c", "%a", disk])) * 4096
    ballast.write_bytes(b"x" * max(0, free - leave))
    return ballast


def test_full_disk_refuses_keeps_whole_lines_and_recovers_by_itself(
    start_receiver: Callable[..., Started], small_disk: Path
) -> None:
    url, _, _ = start_receiver(home=str(small_disk / "home"), landing_min_free_bytes="0")
    body = json.dumps("x" * 100_000).encode()
    assert _post(url, body).status_code == 200
    ballast = _fill(small_disk, leave=300_000)
    answers = [_post(url, body) for _ in range(8)]
    taken = sum(answer.status_code == 200 for answer in answers)
    assert 0 < taken < 8
    assert all(answer.status_code == 200 or _refused(answer) for answer in answers)
    _fill_the_rest(small_disk)
    assert _refused(_post(url, b"{}"))
    assert "No space left" in _ready(url)
    assert "aftercall_receiver_landing_free_bytes 0.0" in requests.get(f"{url}/metrics", timeout=20).text
    assert len(_landed(small_disk / "home")) == 1 + taken
    ballast.unlink()
    assert _post(url, b'"again"').status_code == 200
    assert _ready(url) == ""
    assert _landed(small_disk / "home")[1 + taken :] == ["again"]


def _fill_the_rest(disk: Path) -> None:
    full = subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'rest'}", "bs=4k"], capture_output=True)
    assert b"No space left" in full.stderr


def test_a_reserve_is_left_to_those_who_read(
    start_receiver: Callable[..., Started], small_disk: Path
) -> None:
    url, _, _ = start_receiver(home=str(small_disk / "home"), landing_min_free_bytes="2000000")
    assert _post(url, b"1").status_code == 200
    ballast = _fill(small_disk, leave=1_500_000)
    # a look at the disk is good for half a second
    tries = itertools.count()
    while (answer := _post(url, b"[2,%d]" % next(tries))).status_code == 200:
        pass
    assert _refused(answer)
    assert "AFTERCALL_LANDING_MIN_FREE_BYTES" in _ready(url)
    (small_disk / "a reader's work").write_bytes(b"x" * 1_000_000)
    metrics = requests.get(f"{url}/metrics", timeout=20).text
    assert 'aftercall_receiver_refused_total{reason="landing",source="atoms"}' in metrics
    ballast.unlink()
    assert _post(url, b"3").status_code == 200
    assert _ready(url) == ""
    assert _landed(small_disk / "home")[-1] == 3


def test_read_only_disk_is_refused_and_recovers(
    start_receiver: Callable[..., Started], small_disk: Path
) -> None:
    url, _, _ = start_receiver(home=str(small_disk / "home"), landing_min_free_bytes="0")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert _refused(_post(url, b"1"))
    assert "Read-only" in _ready(url)
    assert requests.get(f"{url}/healthz", timeout=20).ok
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert _post(url, b"2").status_code == 200
    assert _ready(url) == ""
    assert _landed(small_disk / "home") == [2]
