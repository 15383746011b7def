"""What callers said is on disk for the owner alone, whatever the rights that the process was started with."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from receiver import private
from tests.conftest import Installation


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """Files are for everybody unless somebody sees to it."""
    before = os.umask(0)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def left_open(home: Path) -> list[str]:
    paths = (path for path in (home, *home.rglob("*")) if not path.is_symlink())
    return [f"{rights(path):o} {path.relative_to(home)}" for path in paths if rights(path) & 0o077]


def test_what_a_receiver_lands_is_for_its_owner_alone_and_so_is_what_was_there(
    installation: Installation,
) -> None:
    old = installation.home / "landing" / "2026-11-01" / "08"
    old.mkdir(parents=True)
    (old / "20261101T080000000000Z-01234567.ndjson").write_text("")
    (installation.home / "logs").mkdir()
    (installation.home / "logs" / "dagster.log").write_text("")
    assert len(left_open(installation.home)) == 7
    with installation.receiver():
        body = {"event": "call.start", "call_id": "1", "caller_phone": "+12025550143"}
        requests.post(f"{installation.url}/webhooks/atoms", json=body, timeout=20).raise_for_status()
        landed = [path for path in (installation.home / "landing").rglob("*.ndjson") if path.stat().st_size]
    assert len(landed) == 1
    assert left_open(installation.home) == []


def test_a_pass_leaves_nothing_in_the_home_that_others_can_read(installation: Installation) -> None:
    installation.aftercall("init", "--env-file", str(installation.home.with_suffix(".env")))
    assert (installation.home / "warehouse.duckdb").exists()
    assert left_open(installation.home) == []
    # as `dagster dev` imports it
    program = "import orchestration.runtime.launcher, pathlib, sys; pathlib.Path(sys.argv[1]).touch()"
    installation.python(program, str(installation.home / "touched"))
    assert left_open(installation.home) == []


def test_links_and_what_the_operator_keeps_there_stay_as_they_are(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "shared"
    elsewhere.mkdir()
    (elsewhere / "marts.duckdb").write_text("")
    home.mkdir()
    (home / "published").symlink_to(elsewhere)
    (home / "destinations.toml").write_text("")
    (home / "outbox.sqlite-wal").write_text("")
    private.prepare(home)
    assert (rights(elsewhere), rights(elsewhere / "marts.duckdb")) == (0o777, 0o666)
    assert rights(home / "destinations.toml") == 0o666
    assert (rights(home), rights(home / "outbox.sqlite-wal")) == (0o700, 0o600)


def test_a_folder_that_is_there_for_all_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sticky, own = tmp_path / "tmp", tmp_path / "own"
    monkeypatch.setenv("HOME", str(own))
    for folder in (sticky, own):
        (folder / "landing").mkdir(parents=True)
    sticky.chmod(0o1777)
    for folder in (sticky, own):
        before = rights(folder)
        private.prepare(folder)
        assert rights(folder) == before
        assert rights(folder / "landing") == 0o700
