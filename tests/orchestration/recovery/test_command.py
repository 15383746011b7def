"""`aftercall recover`: what a person sees of it."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from orchestration.cli import main
from orchestration.config import OrchestrationSettings
from tests.orchestration.recovery.apis import ListApi, broken
from tests.orchestration.recovery.conftest import KEY, Landed


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, settings: OrchestrationSettings, api: ListApi) -> None:
    monkeypatch.setenv("AFTERCALL_HOME", str(settings.home))
    monkeypatch.setenv("AFTERCALL_API_KEY_ATOMS", KEY)
    monkeypatch.setenv("AFTERCALL_API_URL_ATOMS", api.url)
    monkeypatch.setenv("AFTERCALL_RECOVERY_ATTEMPTS", "1")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["recover", *arguments])


def test_says_what_it_found_and_a_dry_run_lands_nothing(api: ListApi, landed: Landed) -> None:
    lost = datetime.now(UTC) - timedelta(hours=3)
    api.calls = [api.dialect.call(1, lost, 60)]
    tried = run("--dry-run")
    assert "atoms: 1 calls listed, 1 incomplete, to recover" in tried.output
    assert landed() == []
    done = run("--since", (lost - timedelta(hours=30)).isoformat())
    assert done.exit_code == 0
    assert "atoms: 1 calls listed, 1 incomplete, of which 2 events were landed" in done.output
    assert f"{lost:%Y-%m-%d}: 1 of 1 without their webhooks (100.0 %)" in done.output


def days_asked(api: ListApi) -> list[str]:
    """The first day of each list that was asked for since the last call of this function."""
    days = [one.query["dateFrom"][:10] for one in api.lists()]
    api.asked.clear()
    return days


def test_an_import_goes_on_with_the_day_it_stopped_in(api: ListApi, landed: Landed) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight - timedelta(days=back) for back in (30, 29, 28)]
    names = [f"{day:%Y-%m-%d}" for day in days]
    api.calls = [api.dialect.call(number, day + timedelta(hours=1), 60) for number, day in enumerate(days, 1)]
    window = ("--since", days[0].isoformat(), "--until", (days[2] + timedelta(hours=12)).isoformat())
    api.faults = [None, None, broken]  # the list and the detail of the first day; then the API is down
    assert run(*window).exit_code == 1
    assert len({line["call_id"] for line in landed()}) == 1
    assert days_asked(api) == names[:2]
    assert run(*window).exit_code == 0
    assert len({line["call_id"] for line in landed()}) == 3
    assert days_asked(api) == names[1:]
    # a day that bounds cut is no partition: it is listed each time
    assert "1 calls listed, 0 incomplete" in run(*window).output
    assert days_asked(api) == names[2:]
    assert "3 calls listed, 0 incomplete" in run(*window, "--again").output
    assert days_asked(api) == names


def test_one_platform_that_fails_does_not_stop_the_next(
    api: ListApi, landed: Landed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_API_KEY_RETELL", "some")
    monkeypatch.setenv("AFTERCALL_API_URL_RETELL", "http://127.0.0.1:9")
    api.calls = [api.dialect.call(1, datetime.now(UTC) - timedelta(hours=3), 60)]
    done = run("--source", "retell", "--source", "atoms")
    assert done.exit_code == 1
    assert "retell: its API cannot be reached" in done.output
    assert len(landed()) == 2


def test_a_question_that_cannot_be_answered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "atoms, bland, elevenlabs, retell, vapi can" in run("--source", "twilio").output
    assert "--until needs --since" in run("--until", "2026-01-01").output
    assert "is not before" in run("--since", "2026-01-02", "--until", "2026-01-01").output
    monkeypatch.delenv("AFTERCALL_API_KEY_ATOMS")
    assert "no API key is set" in run().output
