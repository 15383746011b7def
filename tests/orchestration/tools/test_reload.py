"""A window loaded again: nothing changes where nothing is missing, and what was lost comes back."""

import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.homes import landing_of

SINCE = ("--since", "2026-11-02T07:00")
KEYS = "select event_key, source, call_id, received_at, payload from raw.call_events order by 1"


def delete(home: Path, where: str) -> int:
    """Delete events by hand; how many."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        return int(connection.execute(f"delete from raw.call_events where {where}").fetchall()[0][0])


LOAD = """
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
pipeline.load_events(OrchestrationSettings())
"""


@pytest.fixture
def loaded(installation: Any, land: Any) -> Any:
    """Twelve calls over two hours, one segment of them archived, in the raw tables."""
    land(installation.home, calls=12)
    installation.built()
    store = landing_of(installation.home)
    store.compact(next(store.segments()))
    installation.python(LOAD)
    return installation


def actions(installation: Any) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = installation.outbox(
        "select action_key, status, attempts, payload_hash, sent_at from actions order by 1"
    )
    return rows


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_lost_comes_back_and_nothing_else_changes(loaded: Any) -> None:
    loaded.aftercall("run")
    whole, marts, done = loaded.warehouse(KEYS), loaded.marts(), actions(loaded)
    assert len(whole) > 20

    said = loaded.aftercall("reload", *SINCE)
    assert "0 missing events" in said
    assert loaded.warehouse(KEYS) == whole
    assert loaded.warehouse("select project = 'refresh' from complete_builds where part = 'models'") == [
        (False,)
    ]

    lost = delete(loaded.home, "event_type <> 'call.start' or received_at >= '2026-11-02 08:00'")
    said = loaded.aftercall("reload", *SINCE)
    assert f"{lost} missing events" in said
    assert loaded.warehouse(KEYS) == whole
    assert loaded.marts() == marts
    assert actions(loaded) == done

    # a night later the marts have forgotten them too, and the data tests say so
    delete(loaded.home, "true")
    process = loaded.start("run", "--all")
    assert "every_sync_row_is_an_action" in process.communicate(timeout=600)[0].decode()
    assert loaded.warehouse("select count(*) from marts.calls") == [(0,)]
    assert f"{len(whole)} missing events" in loaded.aftercall("reload", *SINCE)
    assert loaded.marts() == marts
    assert actions(loaded) == done


def test_only_what_was_received_in_the_window_comes_back(loaded: Any) -> None:
    whole = loaded.warehouse(KEYS)
    delete(loaded.home, "true")
    loaded.aftercall(
        "reload", "--since", "2026-11-02T08:00:00+00:00", "--until", "2026-11-02T10:00+01:00", "--no-build"
    )
    back = [row for row in whole if 8 <= row[3].hour < 9]
    assert 0 < len(back) < len(whole)
    assert loaded.warehouse(KEYS) == back
    loaded.aftercall("reload", *SINCE, "--until", "2026-11-02 08:00", "--no-build")
    assert loaded.warehouse(KEYS) == [row for row in whole if row[3].hour < 9]


def test_killed_and_given_again_all_is_back_and_will_be_built_anew(loaded: Any) -> None:
    whole, states = loaded.warehouse(KEYS), set[int]()
    started = time.monotonic()
    loaded.aftercall("reload", *SINCE, "--no-build")
    seconds = time.monotonic() - started
    for part in (0.2, 0.4, 0.6, 0.8):
        delete(loaded.home, "true")
        process = loaded.start("reload", *SINCE, "--no-build")
        time.sleep(part * seconds)
        process.kill()
        process.communicate()
        states.add(len(loaded.warehouse(KEYS)))
    assert states <= {0, len(whole)}
    loaded.aftercall("reload", *SINCE, "--no-build")
    assert loaded.warehouse(KEYS) == whole
    assert loaded.warehouse("select project from complete_builds where part = 'models'") == [("refresh",)]


def test_it_waits_for_the_warehouse_and_says_who_is_in_the_way(loaded: Any) -> None:
    from orchestration.warehouse import exclusive

    with exclusive(loaded.home / "warehouse.lock", 5):
        process = loaded.start("reload", *SINCE, AFTERCALL_LOCK_TIMEOUT_SECONDS="1")
        said = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 1
    assert "another process has held" in said


def test_times_that_make_no_window_are_refused(installation: Any) -> None:
    for arguments, said in (
        (("--since", "yesterday"), "ISO 8601"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "is not before"),
        ((), "--since"),
    ):
        process = installation.start("reload", *arguments)
        output = process.communicate(timeout=120)[0].decode()
        assert process.returncode == 2, output
        assert said in output
    assert [path.name for path in installation.home.iterdir()] == ["dbt"]
