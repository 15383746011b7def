"""`aftercall doctor` counts what is open to somebody who does not say who they are."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.cli import main
from orchestration.tools.open_doors import open_doors
from receiver.sources import SOURCES
from tests.conftest import free_port
from tests.integrations import servers
from tests.integrations.servers import says


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, closed, where nothing listens and every source is signed."""
    for name in list(os.environ):
        if name.startswith("AFTERCALL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir(mode=0o700)
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path / "home"))
    for part in ("RECEIVER", "BOARD", "DAGSTER"):
        monkeypatch.setenv(f"AFTERCALL_{part}_BIND", f"127.0.0.1:{free_port()}")
    for source in SOURCES:
        monkeypatch.setenv(f"AFTERCALL_SECRET_{source.upper()}", "whsec_c2VjcmV0LW9mLWEtc291cmNl")
    return tmp_path / "home"


def doors_open() -> list[str]:
    return [door.what for door in open_doors()]


def test_where_all_is_signed_and_closed_no_door_is_open() -> None:
    assert doors_open() == []


def test_each_source_that_takes_unsigned_events_is_a_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_RECEIVER_ALLOW_UNSIGNED", "1")
    for source in ("atoms", "vapi"):
        monkeypatch.delenv(f"AFTERCALL_SECRET_{source.upper()}")
    takes = "the receiver takes unsigned events from anybody who reaches the receiver"
    assert doors_open() == [f"{takes}: atoms", f"{takes}: vapi"]
    monkeypatch.delenv("AFTERCALL_RECEIVER_ALLOW_UNSIGNED")
    monkeypatch.setenv("AFTERCALL_RECEIVER_BIND", "0.0.0.0:8080")
    assert doors_open() == []


@pytest.mark.parametrize("part", ["BOARD", "DAGSTER"])
def test_a_page_that_shows_itself_is_a_door_and_one_that_asks_is_none(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers.running() as page:
        monkeypatch.setenv(f"AFTERCALL_{part}_BIND", page.url.removeprefix("http://"))
        page.always = lambda _: says(401, {})
        assert doors_open() == []
        page.always = lambda _: says(200, {"data": {"version": "1"}})
        (door,) = doors_open()
    assert door.endswith("asks nobody who they are")


def test_a_header_that_any_program_here_can_send_is_a_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_BOARD_USER_HEADER", "X-Forwarded-User")
    assert len(doors_open()) == 1
    monkeypatch.setenv("AFTERCALL_TRUSTED_PROXIES", "192.0.2.7")
    assert doors_open() == []


def test_what_others_can_read_is_a_door_that_init_closes(home: Path) -> None:
    (home / "landing").mkdir()
    (home / "landing").chmod(0o755)
    (home / "outbox.sqlite").write_text("")
    (home / "outbox.sqlite").chmod(0o640)
    (door,) = doors_open()
    assert door.startswith("others can read 2 files and folders of the home: ")
    assert str(home / "landing") in door
    said = CliRunner().invoke(main, ["doctor"]).output.splitlines()
    assert said[0].endswith("; 1 door is open.")
    assert f"open {door}: close them: aftercall init" in said
