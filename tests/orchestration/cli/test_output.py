"""What commands print: nothing is cut at 80 columns, a program reads a line per row, and what waits says why."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import DueAction, Outbox, dispatch, open_outbox
from tests.conftest import ROOT, Installation, free_port
from tests.integrations import servers
from tests.integrations.servers import says

PROGRAM = "from orchestration.cli import main; main()"
CALL = "CALL-" + "-".join(f"{number:08d}" for number in range(12))
KEY = f"ticket:atoms:{CALL}"
REDMINE = {
    "AFTERCALL_TICKETS": "redmine",
    "AFTERCALL_REDMINE_KEY": "wrong",
    "AFTERCALL_REDMINE_PROJECTS": "support",
}


@dataclass(frozen=True)
class Stopped:
    """A home whose Redmine answers 401 to everything: six tickets wait."""

    installation: Installation
    settings: dict[str, str]

    def piped(self, *arguments: str) -> str:
        """What a program reads; colours are asked for all the same, as CI does."""
        return self.installation.ask(*arguments, code=0, FORCE_COLOR="1", **self.settings)

    def on_screen(self, *arguments: str) -> str:
        """What stands on a terminal of 80 columns, without colours."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=ROOT,
            env=self.installation.environment(COLUMNS="80", TERM="xterm", **self.settings),
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        ) as process:
            os.close(theirs)
            pieces = []
            with suppress(OSError):  # the other end is gone
                while piece := os.read(ours, 1 << 16):
                    pieces.append(piece)
            os.close(ours)
            process.wait(60)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(pieces).decode()).replace("\r\n", "\n")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    installation = Installation(tmp_path_factory.mktemp("stopped") / "home", free_port()).built()
    with servers.running() as redmine, pytest.MonkeyPatch.context() as patched:
        redmine.always = lambda _: says(401, {})
        told = REDMINE | {"AFTERCALL_REDMINE_URL": redmine.url}
        for name, value in installation.environment(**told).items():
            patched.setenv(name, value)
        settings = IntegrationSettings()
        with open_outbox(settings.outbox_url) as outbox:
            fill(outbox, settings)
            dispatch(outbox, "ticket", settings)
            assert [pause.destination for pause in outbox.pauses()] == ["redmine"]
        yield Stopped(installation, told)


def fill(outbox: Outbox, settings: IntegrationSettings) -> None:
    payload = {
        "title": "Car:\tAda", "priority": "normal", "description": "It did not start.\nTwice.", "tags": [],
        "customer_name": "Ada", "customer_phone": "+12025550143", "queue": "support",
    }  # fmt: skip
    due = [CALL, *(f"{CALL}-{number}" for number in range(5))]
    now = datetime.now(UTC) - timedelta(minutes=1)
    outbox.enqueue(
        [DueAction(f"ticket:atoms:{call}", "ticket", "ticket", "atoms", call, payload, now) for call in due],
        now,
        settings,
    )


def unfolded(screen: str) -> str:
    """The text of a column that was folded: each of its pieces stands below the one before."""
    return "".join(
        "".join(cell.strip() for cell in line.split("│")[3:4]) for line in screen.splitlines() if "│" in line
    )


def test_a_pipe_gets_a_line_per_action_with_its_whole_key(stopped: Stopped) -> None:
    rows = [row.split("\t") for row in stopped.piped("actions").splitlines()]
    listed = {row[1]: row for row in rows if row[0] == "attention"}
    (headline,) = [
        each for each in listed if each.startswith("The ticket channel has stopped at redmine, next try")
    ]
    assert "AFTERCALL_REDMINE_KEY" in "".join(listed[headline])
    assert "The receiver does not answer" in listed
    actions = [row for row in rows if row[0] != "attention"]
    assert [len(row) for row in actions] == [7] * 6
    assert sum(row[2] == KEY for row in actions) == 1
    assert all("redmine has stopped, and is tried again at" in row[6] for row in actions)


def test_on_a_narrow_terminal_a_key_folds_and_is_not_cut(stopped: Stopped) -> None:
    screen = stopped.on_screen("actions", "--call", CALL)
    assert "…" not in screen
    assert KEY in unfolded(screen)
    assert max(map(len, screen.splitlines())) <= 80


def test_one_action_says_why_it_waits_and_its_json_can_be_read(stopped: Stopped) -> None:
    shown = stopped.piped("actions", "show", KEY)
    facts = dict(row.split("\t")[1:] for row in shown.splitlines() if row.startswith("fact\t"))
    assert facts["action key"] == KEY
    assert facts["reason"].startswith("redmine has stopped, and is tried again at")
    assert "AFTERCALL_REDMINE_KEY" in facts["reason"]
    for text in (shown, stopped.on_screen("actions", "show", KEY)):
        content, _ = json.JSONDecoder().raw_decode(text[text.index("\n{\n") + 1 :])
        assert content["title"].startswith("Car:")
    read = json.loads(stopped.piped("actions", "show", KEY, "--json"))
    assert (read["action_key"], read["status"], read["reason"]) == (KEY, "pending", facts["reason"])
    (listed,) = json.loads(stopped.piped("actions", "--call", CALL, "--json"))
    assert listed["reason"] == facts["reason"]


def test_doctor_says_its_verdict_first_and_names_every_setting_whole(stopped: Stopped) -> None:
    said = stopped.piped("doctor").splitlines()
    assert re.fullmatch(r"Every part can work; \d+ doors are open\.", said[0])
    settings = dict(row.split("\t")[1:3] for row in said if row.startswith("setting\t"))
    assert {"AFTERCALL_WEBHOOK_URL_TICKET", "AFTERCALL_DAGSTER_PASSWORD", "AFTERCALL_HOME"} <= settings.keys()
    assert settings["AFTERCALL_HOME"] == str(stopped.installation.home)
    screen = stopped.on_screen("doctor").splitlines()
    assert screen[0] == said[0]
    assert not any("…" in line for line in screen)
    for name in ("AFTERCALL_TICKETS", "AFTERCALL_REDMINE_URL"):
        assert any(name in line for line in screen), screen


def test_a_run_ends_with_what_waits_and_why(stopped: Stopped) -> None:
    said = stopped.piped("run")
    first, *rest = said.splitlines()
    # the alert that the channel has stopped goes out in the same run
    assert re.fullmatch(r"done after \d+ pass(es)?: 1 sent; 6 wait", first), said
    assert rest[0].startswith("ticket: 6 wait for redmine: redmine has stopped, and is tried again at")
    assert any(
        row.startswith("attention\tThe ticket channel has stopped at redmine, next try") for row in rest
    )
    assert "nothing is due" not in said
