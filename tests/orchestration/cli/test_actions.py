"""Looking at actions and acting upon them from the command line; looking before sending."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integrations.config import IntegrationSettings
from integrations.destinations import CheckResult, Delivery
from integrations.errors import Unreachable
from integrations.outbox import Outbox, dispatch, open_outbox
from orchestration.cli import main
from tests.integrations import servers
from tests.integrations.examples import NOW, email, slack, ticket
from tests.integrations.outbox.systems import Desk, did, installed, instruction, say
from tests.integrations.servers import says

Run = Callable[..., Result]


class AskableDesk(Desk):
    """One that can be asked what is there, and whether it is set up."""

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        if instruction(self.home, self.name, "fails"):
            raise Unreachable(f"{self.name} is unreachable")
        return {"subject": str(delivery.payload["title"]), "priority": str(delivery.payload["priority"])}

    def current(self, delivery: Delivery, external_id: str) -> Mapping[str, str] | None:
        return {"subject": "Rental car: Ada", "priority": "normal"}

    def link(self, kind: str, external_id: str) -> str | None:
        return f"https://desk.example/{external_id}"

    def check(self) -> Iterator[CheckResult]:
        yield CheckResult("credentials", True, "ada")
        yield CheckResult("may create tickets", False, "give the key the scope [write]")
        yield CheckResult("echo", True, f"taken: {os.environ.get('AFTERCALL_REDMINE_KEY', '')}")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith("AFTERCALL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "systems").mkdir()
    with installed(tmp_path / "systems", monkeypatch, "north", "south"):
        askable = "from tests.orchestration.cli.test_actions import AskableDesk\n"
        askable += "def open_destination(settings):\n    return AskableDesk('south', settings)\n"
        (tmp_path / "systems" / "ticket" / "south.py").write_text(askable)
        monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path / "home"))
        yield tmp_path / "home"


@pytest.fixture
def outbox(home: Path) -> Iterator[Outbox]:
    with open_outbox(IntegrationSettings().outbox_url) as opened:
        yield opened


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "300")

    def invoke(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(main, arguments, input=said)

    return invoke


def test_listing_and_filters(outbox: Outbox, run: Run) -> None:
    settings = IntegrationSettings(tickets="north", ignore_action_age=True)
    outbox.enqueue([ticket("1"), email("1"), email("2")], NOW, settings)
    dispatch(outbox, "ticket", settings)
    listed = run("actions")
    assert all(key in listed.output for key in ("ticket:atoms:1", "follow_up_email:atoms:2", "north"))
    rows = json.loads(run("actions", "--channel", "email", "--call", "2", "--json").output)
    assert [row["action_key"] for row in rows] == ["follow_up_email:atoms:2"]
    assert json.loads(run("actions", "--destination", "north", "--status", "sent", "--json").output)
    assert run("actions", "--since", "2999-01-01").output == "no such actions\n"


def test_one_action_as_it_goes_out_and_what_became_of_it(outbox: Outbox, run: Run, home: Path) -> None:
    settings = IntegrationSettings(tickets="south", ignore_action_age=True)
    outbox.enqueue([ticket(title="[red]Ada[/]\x1b[2J")], NOW, settings)
    dispatch(outbox, "ticket", settings)
    outbox.resend(ticket().action_key, "Grace")
    shown = run("actions", "show", ticket().action_key)
    assert shown.exit_code == 0
    assert "[red]Ada[/]" in shown.output
    assert "\x1b[2J" not in shown.output
    for said in ("It did not start.", "sent", "by Grace", "As south gets it"):
        assert said in shown.output
    say(home, "south", "fails", "unreachable")
    unreachable = run("actions", "show", ticket().action_key)
    assert (unreachable.exit_code, "south is unreachable" in unreachable.output) == (0, True)
    missing = run("actions", "show", "ticket:atoms:404")
    assert (missing.exit_code, "there is no action" in missing.output) == (1, True)


def test_a_message_is_shown_with_the_buttons_that_it_goes_out_with(outbox: Outbox, run: Run) -> None:
    settings = IntegrationSettings(tickets="south", ignore_action_age=True)
    outbox.enqueue([ticket(), slack()], NOW, settings)
    assert "desk.example" not in run("actions", "show", slack().action_key).output
    dispatch(outbox, "ticket", settings)
    assert (
        f"https://desk.example/south/{ticket().action_key}"
        in run("actions", "show", slack().action_key).output
    )


def test_an_action_is_shown_where_the_configuration_leads_it_now(
    outbox: Outbox, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.enqueue([ticket()], NOW, IntegrationSettings(tickets="north", ignore_action_age=True))
    monkeypatch.setenv("AFTERCALL_TICKETS", "south")
    shown = run("actions", "show", ticket().action_key).output
    assert "goes to south now" in shown
    assert "As south gets it" in shown
    (kept,) = outbox.actions()
    assert (kept.destination, kept.status) == ("north", "pending")


def test_the_request_itself_is_shown(outbox: Outbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers.running() as listener:
        monkeypatch.setenv("AFTERCALL_WEBHOOK_URL", listener.url)
        monkeypatch.setenv("AFTERCALL_WEBHOOK_SECRET", "whsec_" + "A" * 44)
        monkeypatch.setenv("AFTERCALL_TICKETS", "webhook")
        settings = IntegrationSettings(ignore_action_age=True)
        outbox.enqueue([ticket()], NOW, settings)
        before = run("actions", "show", ticket().action_key).output
        dispatch(outbox, "ticket", settings)
        outbox.enqueue([ticket(title="Boat: Ada")], NOW, settings)
        update = run("actions", "show", ticket().action_key).output
    shown = json.loads(before.partition("the request to webhook\n")[2])
    sent = listener.requests[0].json()
    assert shown | {"timestamp": sent["timestamp"]} == sent
    assert f"the request to webhook, for {ticket().action_key}" in update
    assert '"type": "ticket.updated"' in update
    assert '"title": "Boat: Ada"' in update
    assert len(listener.requests) == 1


def test_a_message_is_shown_with_the_thread_that_it_goes_into(
    outbox: Outbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: servers.Request) -> servers.Answer:
        channels = [{"name": "support", "id": "C1"}]
        return says(200, {"ok": True, "channels": channels, "messages": [], "channel": "C1", "ts": "11.22"})

    with servers.running() as api:
        api.always = answer
        monkeypatch.setenv("AFTERCALL_SLACK_BOT_TOKEN", "xoxb-1")
        monkeypatch.setenv("AFTERCALL_SLACK_API_URL", api.url)
        monkeypatch.setenv("AFTERCALL_CHAT", "slack_bot")
        settings = IntegrationSettings(ignore_action_age=True)
        outbox.enqueue([slack()], NOW, settings)
        dispatch(outbox, "chat", settings)
        later = replace(slack(), action_key="vip_call:atoms:1", kind="vip_call")
        outbox.enqueue([later], NOW, settings)
        assert '"thread_ts": "11.22"' in run("actions", "show", later.action_key).output


def test_retry_and_give_up_say_what_they_do_and_who_did_it(outbox: Outbox, run: Run, home: Path) -> None:
    settings = IntegrationSettings(tickets="north", ignore_action_age=True)
    say(home, "north", "fails", "refused")
    outbox.enqueue([ticket(f"{number}") for number in range(3)], NOW, settings)
    dispatch(outbox, "ticket", settings)
    asked = run("actions", "retry", "--status", "dead", said="n\n")
    assert "to be retried: 3 x ticket at north" in asked.output
    assert len(outbox.actions(status="dead")) == 3
    assert run("actions", "retry", "--status", "dead", "--by", "Ada", said="y\n").exit_code == 0
    assert [one.by for one in outbox.interventions("ticket:atoms:0")] == ["Ada"]
    assert len(outbox.actions(status="pending")) == 3
    assert run("actions", "give-up", "ticket:atoms:0", "--yes", "--by", "Ada").exit_code == 0
    closed = outbox.action("ticket:atoms:0")
    assert closed is not None
    assert (closed.status, closed.given_up_by) == ("dead", "Ada")
    assert run("actions", "retry").exit_code == 2
    assert run("actions", "retry", "nothing").exit_code == 1


def test_resend_leaves_out_what_is_sent_once_unless_told_twice(outbox: Outbox, run: Run, home: Path) -> None:
    settings = IntegrationSettings(tickets="north", emails="north", ignore_action_age=True)
    outbox.enqueue([ticket(), email()], NOW, settings)
    for channel in ("ticket", "email"):
        dispatch(outbox, channel, settings)
    first = run("actions", "resend", "--since", "2026-01-01", "--yes")
    assert "left out: 1 that are sent only once" in first.output
    dispatch(outbox, "ticket", settings)
    assert [line["did"] for line in did(home, "north")] == ["create", "create", "update"]
    again = run("actions", "resend", "--channel", "email", "--twice", said="y\n")
    assert "to be sent once more: 1 x follow_up_email at north" in again.output
    dispatch(outbox, "email", settings)
    assert did(home, "north")[-1]["key"] == f"{email().action_key}~2"
    outbox.enqueue([email(summary="new")], NOW, settings)
    assert dispatch(outbox, "email", settings).sent == 0
    refused = run("actions", "resend", "--status", "pending", "--yes")
    assert refused.exit_code == 1


def test_what_has_stopped_is_said_and_can_go_on(
    outbox: Outbox, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_TICKETS", "north")
    settings = IntegrationSettings(ignore_action_age=True)
    say(home, "north", "fails", "paused")
    outbox.enqueue([ticket()], NOW, settings)
    dispatch(outbox, "ticket", settings)
    assert "The ticket channel has stopped at north, next try" in run("actions").output
    assert "north is paused" in run("run", "--dry-run").output
    assert "resumed: north" in run("actions", "resume", "ticket").output
    assert outbox.pauses() == []


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    outbox: Outbox, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_TICKETS", "south")
    settings = IntegrationSettings(ignore_action_age=True)
    outbox.enqueue([ticket("1")], NOW, settings)
    dispatch(outbox, "ticket", settings)
    outbox.enqueue([ticket("1", priority="high"), ticket("2"), email(to_address="nobody")], NOW, settings)
    told = run("run", "--dry-run").output
    assert "priority: normal → high" in told
    assert "subject: normal" not in told
    assert "1 to update" in told
    assert "1 to create" in told
    assert "1 to skip" in told
    assert len(did(home, "south")) == 1
    assert len(outbox.actions(status="pending")) == 3


def test_check_prints_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("check").exit_code == 0
    monkeypatch.setenv("AFTERCALL_TICKETS", "south,north")
    monkeypatch.setenv("AFTERCALL_REDMINE_KEY", "tell-nobody")
    checked = run("check")
    assert checked.exit_code == 1
    assert "ticket/south: may create tickets: give the key the scope [write]" in checked.output
    assert "ticket/north: settings: complete" in checked.output
    assert "taken: ***" in checked.output
    assert "tell-nobody" not in checked.output
    assert run("check", "north").exit_code == 0
    unknown = run("check", "nowhere")
    assert (unknown.exit_code, "there is no destination nowhere" in unknown.output) == (1, True)
    elsewhere = run("check", "smtp", "--channel", "ticket")
    assert (elsewhere.exit_code, "there is no destination smtp" in elsewhere.output) == (1, True)
    webhook = run("check", "webhook", "--channel", "ticket")
    assert (webhook.exit_code, "AFTERCALL_WEBHOOK_URL" in webhook.output) == (1, True)


def test_check_looks_into_every_channel_that_the_rules_post_to(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: servers.Request) -> servers.Answer:
        scopes = {"X-OAuth-Scopes": "chat:write,channels:read,channels:history"}
        channels = [{"name": "alerts", "id": "C1"}, {"name": "vip", "id": "C2"}]
        return says(200, {"ok": True, "channels": channels, "messages": []}, scopes)

    with servers.running() as slack:
        slack.always = answer
        monkeypatch.setenv("AFTERCALL_CHAT", "slack_bot")
        monkeypatch.setenv("AFTERCALL_SLACK_BOT_TOKEN", "xoxb-1")
        monkeypatch.setenv("AFTERCALL_SLACK_API_URL", slack.url)
        told = run("check", "bot").output
    assert "ok   chat/slack_bot: channel #alerts" in told
    assert "ok   chat/slack_bot: channel #vip" in told
    assert "bad  chat/slack_bot: channel #support" in told
    assert not any("postMessage" in request.path for request in slack.requests)


def test_doctor_shows_routes_and_what_is_wrong_with_them(run: Run, home: Path) -> None:
    (home / "destinations.toml").write_text(
        '[[route]]\nchannel = "ticket"\nwhen = { vip = true }\nto = ["north"]\n'
    )
    assert "ticket goes to north when vip is True" in run("doctor").output
    (home / "destinations.toml").write_text('[[route]]\nchannel = "ticket"\nto = ["nort"]\n')
    assert "ticket has no destination 'nort'" in run("doctor").output
    dry = run("run", "--dry-run")
    assert (dry.exit_code, "ticket has no destination 'nort'" in dry.output) == (1, True)
