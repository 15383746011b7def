"""The landing store's housekeeping: what is loaded is compressed and goes when its time is over, and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.tools import retention
from receiver.config import ReceiverSettings
from receiver.landing import LandingUnavailable, open_landing
from receiver.landing.local import LocalLandingStore
from tests.homes import landing_of
from tests.warehouse_files import warehouse_file

ROOT = Path(__file__).parents[3]
LATER = datetime(2026, 12, 24, tzinfo=UTC)
CLOSED = "not loaded yet"


def settings_of(home: Path, **more: Any) -> OrchestrationSettings:
    return OrchestrationSettings(home=home, **more)


def plain_and_archived(home: Path) -> tuple[int, int]:
    states = [segment.is_archived for segment in landing_of(home).segments()]
    return states.count(False), states.count(True)


def test_what_is_loaded_is_compressed_and_the_load_never_notices(tmp_path: Path, land: Any) -> None:
    settings = settings_of(tmp_path)
    first = land(tmp_path, calls=12)
    assert retention.tidy(settings).untouched == {CLOSED: 2}
    assert plain_and_archived(tmp_path) == (2, 0)
    loaded = pipeline.load_events(settings)
    before = pipeline.positions(settings)["cursors"]

    report = retention.tidy(settings)
    assert (report.archived, report.removed, report.untouched, report.segments) == (2, 0, {}, 2)
    assert report.bytes_before == loaded.read_bytes
    assert 0 < report.bytes_after == report.stored_bytes < report.bytes_before / 2
    assert retention.tidy(settings).archived == 0

    assert pipeline.landing_backlog(settings) == 0
    assert not pipeline.has_new_lines(settings)
    land(tmp_path, calls=3, start=LATER, seed=8)
    again = pipeline.load_events(settings)
    assert again.read_bytes < loaded.read_bytes
    assert loaded.rows["call_events"] <= len(first)
    after = pipeline.positions(settings)["cursors"]
    assert before.items() < after.items()
    assert retention.tidy(settings).archived == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of which a test says how much is free; where it cannot be mounted the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", folder], capture_output=True
    ).returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_the_reserve_is_room_to_load_and_to_tidy(small_disk: Path, land: Any) -> None:
    settings, reserve = settings_of(small_disk / "home"), ReceiverSettings().landing_min_free_bytes
    store = open_landing(settings.landing, min_free_bytes=reserve)
    land(settings.home, calls=300)
    used = shutil.disk_usage(small_disk).used
    subprocess.run(
        ["mount", "-o", f"remount,size={(used + reserve) // 4096 * 4 - 4}k", small_disk], check=True
    )
    with pytest.raises(LandingUnavailable, match="are kept free"):
        store.append([b"{}\n"])
    assert pipeline.load_events(settings).rows["call_events"] > 300
    report = retention.tidy(settings)
    assert report.archived == report.segments > 0
    with pytest.raises(LandingUnavailable, match="are kept free"):
        store.append([b"{}\n"])


def test_an_archive_is_loaded_into_a_new_warehouse(tmp_path: Path, land: Any) -> None:
    settings = settings_of(tmp_path, landing_retention_days=1)
    land(tmp_path, calls=12)
    loaded = pipeline.load_events(settings)
    retention.tidy(settings, now=datetime(2026, 11, 2, 12, tzinfo=UTC))
    assert plain_and_archived(tmp_path) == (0, 2)
    warehouse_file(settings).unlink()
    # long past their time, but this warehouse has them not
    assert retention.tidy(settings, now=LATER).untouched == {CLOSED: 2}
    assert pipeline.load_events(settings).rows == loaded.rows
    assert retention.tidy(settings, now=LATER).removed == 2


def test_only_what_is_loaded_and_old_is_removed(tmp_path: Path, land: Any) -> None:
    settings = settings_of(tmp_path)
    land(tmp_path)
    pipeline.load_events(settings)
    assert retention.tidy(settings, now=LATER).removed == 0
    land(tmp_path, calls=3, start=LATER, seed=8)
    pipeline.load_events(settings)
    land(tmp_path, calls=2, start=datetime(2026, 11, 3, 12, tzinfo=UTC), seed=9)  # old, and never loaded

    settings = settings_of(tmp_path, landing_retention_days=30)
    report = retention.tidy(settings, now=LATER + timedelta(days=1))
    days = [segment.path[:10] for segment in landing_of(tmp_path).segments()]
    assert sorted(set(days)) == ["2026-11-03", "2026-12-24"]
    assert report.removed == 2
    assert set(report.untouched) == {CLOSED}
    assert not (tmp_path / "landing" / "2026-11-02").exists()

    pipeline.load_events(settings)
    assert {path[:10] for path in pipeline.positions(settings)["cursors"]} == {"2026-11-03", "2026-12-24"}


def test_a_segment_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, landing_retention_days=1)
    writer = LocalLandingStore(tmp_path / "landing")
    writer.append([b'{"event_id":"1","source":"s","received_at":"2026-01-01T00:00:00Z","payload":{}}\n'])
    pipeline.load_events(settings)
    assert retention.tidy(settings, now=LATER).untouched == {"a process is writing it": 1}
    writer.append([b'{"event_id":"2","source":"s","received_at":"2026-01-01T00:00:00Z","payload":{}}\n'])
    writer.close()
    assert retention.tidy(settings, now=LATER).untouched == {CLOSED: 1}
    assert pipeline.load_events(settings).rows["call_events"] == 1
    assert retention.tidy(settings, now=LATER).archived == 1


KILLED_LOAD = """
import os, signal
from dlt.pipeline.pipeline import Pipeline
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
Pipeline.load = lambda *arguments, **more: os.kill(os.getpid(), signal.SIGKILL)
pipeline.load_events(OrchestrationSettings())
"""


def test_what_a_killed_load_had_only_read_is_not_loaded(installation: Any, land: Any) -> None:
    settings = settings_of(installation.home, landing_retention_days=1)
    land(installation.home, calls=3)
    pipeline.load_events(settings)
    land(installation.home, calls=3, start=datetime(2026, 11, 5, 8, tzinfo=UTC), seed=8)
    killed = installation.start_python(KILLED_LOAD)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert {path[:10] for path in pipeline.positions(settings)["cursors"]} == {"2026-11-02", "2026-11-05"}

    report = retention.tidy(settings, now=LATER)
    assert set(report.untouched) == {CLOSED}
    assert {segment.path[:10] for segment in landing_of(installation.home).segments()} == {"2026-11-05"}
    count = "select count(*) from raw.call_events"
    before = installation.warehouse(count)
    pipeline.load_events(settings)
    assert installation.warehouse(count) > before
    retention.tidy(settings, now=LATER)
    assert list(landing_of(installation.home).segments()) == []


LOAD_AND_TIDY = """
import time
from orchestration.tools import retention
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
settings = OrchestrationSettings()
archived = 0
while not (settings.home / "enough").exists():
    pipeline.load_events(settings)
    archived += retention.tidy(settings).archived
pipeline.load_events(settings)
print(archived)
"""


def test_nothing_is_lost_while_receivers_write_and_the_housekeeper_is_killed(installation: Any) -> None:
    small = {"AFTERCALL_LANDING_SEGMENT_BYTES": "4000", "AFTERCALL_RECEIVER_WORKERS": "2"}
    receiver = subprocess.Popen(
        [sys.executable, "-m", "receiver"],
        cwd=ROOT, env=installation.environment(**small), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    sent, problems = set[str](), list[Exception]()
    done = threading.Event()
    try:
        wait_for(f"{installation.url}/readyz")

        def post(worker: int) -> None:
            with requests.Session() as session:
                number = 0
                while not done.is_set():
                    body = {"event": "call.start", "call_id": f"{worker}-{number}", "pad": "x" * 500}
                    session.post(
                        f"{installation.url}/webhooks/atoms", json=body, timeout=30
                    ).raise_for_status()
                    sent.add(f"{worker}-{number}")
                    number += 1
                    time.sleep(0.005)

        posters = [threading.Thread(target=post, args=(worker,)) for worker in range(4)]
        for poster in posters:
            poster.start()
        for wait in (1.0, 2.5, 4.0):
            keeper = installation.start_python(LOAD_AND_TIDY)
            time.sleep(wait)
            os.kill(keeper.pid, signal.SIGKILL)
            keeper.communicate()
        done.set()
        for poster in posters:
            poster.join()
        keeper = installation.start_python(LOAD_AND_TIDY)
        time.sleep(3)
        (installation.home / "enough").touch()
        said = keeper.communicate(timeout=300)[0].decode()
        assert keeper.returncode == 0, said
    finally:
        done.set()
        receiver.terminate()
        receiver.wait(30)
    assert problems == []
    loaded = {row[0] for row in installation.warehouse("select call_id from raw.call_events")}
    assert loaded == sent
    assert installation.warehouse("select count(*) from raw.rejected_lines") == [(0,)]
    settings = settings_of(installation.home)
    retention.tidy(settings)
    plain, archived = plain_and_archived(installation.home)
    assert (plain, archived > 10) == (0, True)
    assert not list((installation.home / "landing").rglob("*.part"))


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=2).raise_for_status()
            return
        except requests.RequestException:
            assert time.monotonic() < deadline, "the receiver did not start"
            time.sleep(0.1)


def test_the_command_lists_prints_and_tidies(installation: Any, land: Any) -> None:
    deliveries = land(installation.home)
    call_id = json.loads(installation.python(CALL_IDS))[0]
    listed = json.loads(installation.aftercall("landing", "--json"))
    assert [row["state"] for row in listed] == ["plain, not loaded"] * 2
    assert sum(row["lines"] for row in listed) == len(deliveries)
    installation.python("from orchestration.config import OrchestrationSettings as S\n"
                        "from orchestration.load import pipeline\npipeline.load_events(S())")  # fmt: skip
    printed = cat(installation, "--call", call_id)
    assert printed.count("\n") >= 1
    assert all(json.loads(line)["call_id"] == call_id for line in printed.splitlines())

    assert "compressed 2 segments" in installation.aftercall("landing", "tidy")
    now = json.loads(installation.aftercall("landing", "--json"))
    assert [row["state"] for row in now] == ["compressed, loaded"] * 2
    assert [(row["segment"], row["lines"], row["size"]) for row in now] == [
        (row["segment"], row["lines"], row["size"]) for row in listed
    ]
    assert all(row["loaded"] == row["size"] > row["stored_bytes"] for row in now)
    assert installation.aftercall("landing").count("compressed, loaded") == 2
    assert cat(installation, "--call", call_id) == printed
    assert cat(installation, "--call", call_id, "--source", "atoms") == printed
    assert "no event of call" in cat(installation, "--call", call_id, "--source", "generic", code=1)
    assert "no event of call" in cat(installation, "--call", "nobody", code=1)


CALL_IDS = """
import json
from orchestration.config import OrchestrationSettings
from receiver.envelope import read_line
from receiver.config import ReceiverSettings
from receiver.landing import LandingUnavailable, open_landing
store = open_landing(OrchestrationSettings().landing)
print(json.dumps([
    read_line(line).call_id
    for segment in store.segments() for line in store.read(segment.path).data.splitlines(keepends=True)
]))
"""


def cat(installation: Any, *arguments: str, code: int = 0) -> str:
    """What the command wrote to standard output, or to standard error if it was to fail."""
    printed: str = installation.ask("landing", "cat", *arguments, code=code)
    return printed


def test_dagster_shows_what_was_done(tmp_path: Path, land: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path))
    from orchestration.definitions import build_defs

    land(tmp_path)
    pipeline.load_events(settings_of(tmp_path))
    land(tmp_path, calls=2, start=LATER, seed=8)
    result = build_defs().resolve_job_def("landing_housekeeping").execute_in_process()
    events = result.get_asset_materialization_events()
    (event,) = [one for one in events if one.asset_key == dg.AssetKey("landing_archive")]
    shown: dict[str, Any] = {name: value.value for name, value in event.materialization.metadata.items()}
    untouched = shown.pop("preview")
    assert (shown["compressed"], shown["removed"], shown["kept_back"]) == (2, 0, len(untouched.records))
    assert shown["bytes_after"] < shown["bytes_before"]
    assert untouched.records[0].data["kept back because"] == CLOSED
