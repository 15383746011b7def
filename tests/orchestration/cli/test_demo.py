"""The demo to its end, in a place whose settings name real systems; and what it calls lost."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from integrations.outbox import Action
from orchestration.cli.demo import show_results
from orchestration.config import OrchestrationSettings
from orchestration.simulator.oracle import Expected
from orchestration.tools import demo_results
from orchestration.tools.demo_results import Published
from tests.conftest import ROOT, Installation, free_port
from tests.warehouse_files import published_file

PLAN = Expected(calls=3, resolved=1, unresolved=1, satisfaction=10 / 3)
PUBLISHED = Published(calls=3, resolved=1, unresolved=1, satisfaction=3.3333333333333)
PROGRAM = "from orchestration.cli import main; main()"
NOTHING_ELSE: list[Action] = []


def home_of(folder: Path) -> OrchestrationSettings:
    settings = OrchestrationSettings(home=folder)
    published_file(settings).parent.mkdir(parents=True)
    return settings


@pytest.fixture
def settings(tmp_path: Path) -> OrchestrationSettings:
    """A home whose published copy has the columns that are read."""
    settings = home_of(tmp_path / "whole")
    with duckdb.connect(str(published_file(settings))) as connection:
        connection.execute("create table calls (ended_at timestamp)")
        connection.execute("create table call_outcomes (is_resolved boolean, satisfaction_score integer)")
        connection.execute("create table actions (status varchar, kind varchar)")
    return settings


def test_the_numbers_are_those_of_the_published_copy(settings: OrchestrationSettings) -> None:
    with duckdb.connect(str(published_file(settings))) as connection:
        connection.execute("insert into calls values ('2026-11-23 08:00'), ('2026-11-23 07:00'), (null)")
        connection.execute("insert into call_outcomes values (true, 5), (false, 2), (null, 3), (null, null)")
        connection.execute(
            "insert into actions values ('sent', 'note'), ('skipped', 'follow_up_email'), ('dead', 'note'), "
            "('sent', 'pipeline_alert')"
        )
    found = demo_results.read(settings)
    assert replace(found, last_end=None) == replace(PUBLISHED, satisfaction=found.satisfaction, actions=2)
    assert found.satisfaction == pytest.approx(10 / 3)
    assert found.last_end is not None
    assert found.last_end.isoformat() == "2026-11-23T08:00:00+00:00"


def test_a_copy_that_is_missing_or_empty_is_lost(settings: OrchestrationSettings, tmp_path: Path) -> None:
    lacking = home_of(tmp_path / "lacking")
    with duckdb.connect(str(published_file(lacking))) as connection:
        connection.execute("create table calls (ended_at timestamp)")
    for one in (settings, OrchestrationSettings(home=tmp_path / "none"), lacking):
        published = demo_results.read(one)
        assert published == Published()
        assert demo_results.exit_code(demo_results.lines(PLAN, published, NOTHING_ELSE, 0)) == 1


def test_all_as_planned_is_exit_code_0() -> None:
    assert demo_results.exit_code(demo_results.lines(PLAN, PUBLISHED, NOTHING_ELSE, 0)) == 0


@pytest.mark.parametrize(
    ("plan", "published", "lost", "said"),
    [
        (PLAN, PUBLISHED, 2, "deliveries lost: 2 instead of 0"),
        (PLAN, replace(PUBLISHED, calls=2), 0, "calls: 2 instead of 3"),
        (PLAN, replace(PUBLISHED, resolved=2), 0, "resolved: 2 instead of 1"),
        (PLAN, replace(PUBLISHED, satisfaction=None), 0, "satisfaction: - instead of 3.33"),
        (PLAN, replace(PUBLISHED, actions=1), 0, "actions in the marts: 1 instead of 0"),
        (replace(PLAN, tickets=1), replace(PUBLISHED, actions=1), 0, "tickets: 0 instead of 1"),
    ],
)
def test_any_difference_is_lost_and_told(
    plan: Expected, published: Published, lost: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = demo_results.lines(plan, published, NOTHING_ELSE, lost)
    assert demo_results.exit_code(found) == 1
    show_results(found, published, NOTHING_ELSE, Path("logs"))
    assert f"Lost: {said}" in capsys.readouterr().out


def test_make_ends_by_itself_as_the_readme_says() -> None:
    said = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo DEMO_EXIT=1" in said
    for arguments, flags in (["DEMO_EXIT=1"], ["--exit"]), ([], []):
        # beneath `make test`, make would tell of its folder
        make = ["make", "--dry-run", "--no-print-directory", "demo", *arguments]
        recipe = subprocess.run(make, cwd=ROOT, capture_output=True, text=True).stdout
        assert recipe.splitlines()[-1].split()[1:] == ["demo", *flags]


@pytest.mark.slow
def test_a_morning_ends_with_0_and_reaches_nobody(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "AFTERCALL_SECRET_ATOMS=of-the-real-platform\nAFTERCALL_TICKETS=zendesk\nAFTERCALL_HOME=state\n"
        "AFTERCALL_ZENDESK_URL=http://127.0.0.1:9\nAFTERCALL_OUTBOX_URL=sqlite:////nowhere/at/all\n"
    )
    settings = {
        "PYTHONPATH": str(ROOT),
        "AFTERCALL_RECEIVER_BIND": f"127.0.0.1:{free_port()}",
        "AFTERCALL_BOARD_BIND": f"127.0.0.1:{free_port()}",
        "AFTERCALL_DAGSTER_BIND": f"127.0.0.1:{free_port()}",
        "AFTERCALL_CRM": "hubspot",
        "aftercall_chat": "slack_bot",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERCALL_")}
    demo = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            *["demo", "--calls", "6", "--rate", "6", "--exit", "--patience", "600"],
        ],
        cwd=tmp_path,
        env=clean | settings,
        capture_output=True,
        text=True,
        timeout=1_000,
    )
    assert demo.returncode == 0, demo.stdout[-3_000:] + demo.stderr[-3_000:]
    assert "Lost" not in demo.stdout
    assert "from the last hang-up to the last action" in demo.stdout
    made = Installation(tmp_path / "state" / "demo", 0)
    assert made.mart("select count(*) from calls") == [(6,)]
    assert made.outbox("select distinct destination from actions") == [("preview",)]
