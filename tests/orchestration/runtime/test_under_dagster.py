"""aftercall under a real Dagster: every process that a person would start, driven as the UI drives it.

One `dagster dev` in a fresh checkout serves most of it: the fixtures are chapters of one story, each of which goes
on where the one before ended, and the tests say what is true after each.
"""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dagster_ui import DagsterUi, wait_until
from tests.processes import (
    AFTERCALL,
    FIRST_PASS,
    PASS,
    Site,
    copy_checkout,
    dagster_dev,
    environment_of,
    running,
)

ATTEMPTS = 3
# Dagster's daemon looks at its sensors no more often
LOOK_SECONDS = 5


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone holds, after `aftercall init` and nothing else."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    subprocess.run([*AFTERCALL, "init"], cwd=folder, env=environment_of(folder), check=True)
    return folder


@pytest.fixture(scope="module")
def site(checkout: Path) -> Iterator[Site]:
    """`dagster dev` and the receiver in the fresh checkout."""
    from tests.conftest import Installation, free_port

    installation = Installation(checkout / ".aftercall", free_port())
    port = free_port()
    with (checkout / ".env").open("a") as settings:
        settings.write(f"AFTERCALL_RECEIVER_BIND=127.0.0.1:{installation.port}\n")
        settings.write(f"AFTERCALL_FAILED_RUN_PAUSE_SECONDS={LOOK_SECONDS}\n")
        settings.write(f"AFTERCALL_PROBLEM_SENSOR_SECONDS={LOOK_SECONDS}\n")
    receiver = [sys.executable, "-m", "receiver"]
    with (
        running(receiver, checkout, environment_of(checkout), checkout / "receiver.log"),
        dagster_dev(checkout, port),
    ):
        yield Site(checkout, installation, DagsterUi(f"http://127.0.0.1:{port}"))


def test_a_fresh_checkout_is_a_valid_workspace(checkout: Path) -> None:
    validated = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=checkout,
        env=environment_of(checkout),
        capture_output=True,
        text=True,
    )
    assert validated.returncode == 0, validated.stderr
    assert "Validation successful for code location aftercall" in validated.stderr + validated.stdout


def test_init_says_when_dagster_dev_would_look_elsewhere(checkout: Path, tmp_path: Path) -> None:
    env_file = tmp_path / "settings"
    env_file.write_text("DAGSTER_HOME=/elsewhere\n")
    again = [*AFTERCALL, "init", "--env-file", str(env_file)]
    said = subprocess.run(
        again, cwd=checkout, env=environment_of(checkout), check=True, capture_output=True, text=True
    )
    assert f"`dagster dev` will use /elsewhere, the DAGSTER_HOME in {env_file}" in said.stderr
    assert env_file.read_text() == "DAGSTER_HOME=/elsewhere\n"


def test_dagster_dev_loads_the_code_location_and_runs_every_sensor(site: Site) -> None:
    (location,) = site.ui.locations()
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    sensors, schedules = site.ui.sensors(), site.ui.schedules()
    channels = {f"{channel}_sensor" for channel in ("ticket", "email", "crm", "chat")}
    assert set(sensors) >= {"landing_sensor", "problem_sensor"} | channels
    assert "nightly_reconcile_schedule" in schedules
    assert {sensor["sensorState"]["status"] for sensor in sensors.values()} == {"RUNNING"}
    # a platform is asked for what its webhooks lost only where there is a key for that
    stopped = {
        name for name, schedule in schedules.items() if schedule["scheduleState"]["status"] != "RUNNING"
    }
    assert stopped == {name for name in schedules if name.startswith("recover_")}
    assert all(shown["description"] for shown in [*sensors.values(), *schedules.values()])


def test_its_instance_is_the_one_in_the_state_directory(site: Site) -> None:
    told = site.ui.instance()
    assert f"base_dir: {site.installation.home / 'dagster'}\n" in told["info"]
    assert "telemetry:\n  enabled: false\n" in told["info"]
    assert "pools:\n    default_limit: 1\n    granularity: op\n" in told["info"]
    assert "run_monitoring:\n  enabled: true\n" in told["info"]
    assert {daemon["healthy"] for daemon in told["daemonHealth"]["allDaemonStatuses"]} == {True}


@pytest.fixture(scope="module")
def first_pass(site: Site) -> Site:
    """The first call, while the Slack channel is switched off."""
    site.ui.switch_off("chat_sensor")
    site.post("first")
    wait_until(lambda: site.ui.runs(FIRST_PASS) and site.ui.is_idle(), "a pass came and went")
    time.sleep(2 * LOOK_SECONDS)
    return site


def test_new_bytes_start_exactly_one_pass_that_does_everything(first_pass: Site) -> None:
    assert [run["status"] for run in first_pass.ui.runs(FIRST_PASS)] == ["SUCCESS"]
    statuses = first_pass.statuses("first")
    assert {kind for kind, status in statuses.items() if status == "sent"} == {"note", "task", "ticket"}
    assert first_pass.installation.mart("select call_id from calls") == [("first",)]


def test_a_channel_that_is_switched_off_is_filled_and_not_sent(first_pass: Site) -> None:
    assert first_pass.statuses("first")["transfer_requested"] == "pending"
    assert first_pass.ui.runs("chat_channel") == []


def test_switched_on_again_it_is_sent_once(first_pass: Site) -> None:
    first_pass.ui.switch_on("chat_sensor")
    wait_until(lambda: first_pass.statuses("first")["transfer_requested"] == "sent", "the message is sent")
    wait_until(first_pass.ui.is_idle, "its run is over")
    assert len(first_pass.ui.runs("chat_channel")) == 1
    assert first_pass.is_all_done("first")


@pytest.fixture(scope="module")
def reconciled(first_pass: Site) -> Site:
    """An outbox that lost three actions, the nightly job, and in its midst a new call and `aftercall run` by hand."""
    with sqlite3.connect(first_pass.installation.home / "outbox.sqlite") as outbox:
        for table in ("attempts", "previews", "actions"):
            outbox.execute(
                f"delete from {table} where action_key like '%:first' and action_key not like 'note:%'"
            )
    first_pass.ui.launch("nightly_reconcile")
    wait_until(lambda: first_pass.ui.is_at_work("nightly_reconcile"), "the job is at work")
    first_pass.post("meanwhile")
    first_pass.installation.aftercall("run")
    wait_until(first_pass.ui.is_idle, "everything is over")
    return first_pass


def test_the_nightly_job_finds_what_the_outbox_lost_and_sends_it_once(reconciled: Site) -> None:
    assert [run["status"] for run in reconciled.ui.runs("nightly_reconcile")] == ["SUCCESS"]
    assert reconciled.is_all_done("first")
    told = reconciled.installation.mart("select distinct status from actions where call_id = 'first'")
    assert told == [("sent",)]


def test_a_run_by_hand_beside_one_of_the_daemon_disturbs_neither(reconciled: Site) -> None:
    (nightly,) = reconciled.ui.runs("nightly_reconcile")
    by_hand = [run for run in reconciled.ui.runs(PASS) if "aftercall/launched_by" in run["tags"]]
    assert by_hand[0]["startTime"] < nightly["endTime"], "they did not overlap"
    assert {run["status"] for run in reconciled.ui.runs()} == {"SUCCESS"}
    assert reconciled.is_all_done("meanwhile")


def failures(site: Site) -> list[dict[str, Any]]:
    return [run for run in site.ui.runs(PASS) if run["status"] == "FAILURE"]


@pytest.fixture(scope="module")
def failed(reconciled: Site) -> Site:
    """A call that comes while nothing can be published; the cause goes when the last retry has failed."""
    published = reconciled.installation.home / "published"
    aside = published.rename(published.with_name("aside"))
    published.write_text("in the way")
    reconciled.post("unlucky")
    wait_until(lambda: len(failures(reconciled)) == ATTEMPTS, "the last retry failed")
    published.unlink()
    aside.rename(published)
    return reconciled


def test_a_failing_pass_is_retried_from_its_first_step(failed: Site) -> None:
    runs = failures(failed)
    assert [run["tags"].get("dagster/retry_number") for run in runs] == [None, "1", "2"]
    assert [run["parentRunId"] for run in runs] == [None, *(run["runId"] for run in runs[:-1])]
    for run in runs:
        steps = {event.get("stepKey") for event in failed.ui.events(run["runId"])}
        assert {"load_events", "models", "outbox__ticket", "published"} <= steps


def alerts(site: Site) -> list[str]:
    """Headlines of the alerts that were sent of the pass, in the order of what they tell of."""
    of_pass = f"action_key like 'pipeline_alert:runs:{PASS}:%' and status = 'sent'"
    rows = site.installation.outbox(f"select payload from actions where {of_pass} order by action_key")
    return [str(json.loads(str(payload))["headline"]) for (payload,) in rows]


def test_with_the_cause_gone_it_goes_on_by_itself_and_does_nothing_twice(failed: Site) -> None:
    wait_until(lambda: failed.ui.runs(PASS)[-1]["status"] == "SUCCESS", "a pass succeeds")
    wait_until(failed.ui.is_idle, "everything is over")
    assert failed.is_all_done("unlucky")


def test_a_pass_that_fails_again_and_again_is_told_once_and_so_is_its_end(failed: Site) -> None:
    """The look for problems may come before, between or after the failures: the messages are the same."""
    wait_until(lambda: len(alerts(failed)) == 2, "the alert and that of its end are sent")
    wait_until(failed.ui.is_idle, "everything is over")
    assert alerts(failed) == [f"Runs of {PASS} fail", f"Resolved: Runs of {PASS} fail"]


def test_an_ordinary_pass_shows_nothing_in_yellow_or_red(failed: Site) -> None:
    assert failed.loud_messages(failed.ui.runs(PASS)[-1]) == []
