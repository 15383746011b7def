"""Check, send, mark: order, failures, destinations that change, and content that changes meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, UnknownDestination, open_destination
from integrations.errors import NotFound, Rejected, TransientError
from integrations.outbox import DueAction, Outbox, dispatch
from tests.integrations.examples import NOW, Register, alert, contact, email, note, slack, task, ticket

HOUR = timedelta(hours=1)


def fail_on(*keys: str, error: Exception) -> Callable[[Delivery], None]:
    def fails(delivery: Delivery) -> None:
        if delivery.action_key in keys:
            raise error

    return fails


def status(outbox: Outbox, action: DueAction) -> str:
    stored = outbox.action(action.action_key)
    assert stored is not None
    return stored.status


def test_the_preview_of_every_channel_counts_as_sent(outbox: Outbox, settings: IntegrationSettings) -> None:
    rows = [ticket(), email(), contact(), note(), task(), slack()]
    outbox.enqueue(rows, NOW, settings)
    sent = {
        channel: dispatch(outbox, channel, settings).sent for channel in ("ticket", "email", "crm", "chat")
    }
    assert sent == {"ticket": 1, "email": 1, "crm": 3, "chat": 1}
    for row in rows:
        preview, action = outbox.preview(row.action_key), outbox.action(row.action_key)
        assert preview is not None
        assert action is not None
        assert (preview.revision, action.status, action.attempts) == (1, "sent", 1)
        assert action.external_id == f"preview:{row.action_key}"
        assert [attempt.outcome for attempt in outbox.attempts(row.action_key)] == ["sent"]
    outbox.enqueue([ticket(priority="high")], NOW, settings)
    assert dispatch(outbox, "ticket", settings).updated == 1
    changed = outbox.preview(ticket().action_key)
    assert changed is not None
    assert changed.revision == 2
    assert '"priority": "high"' in changed.body


def test_contact_then_note_then_task_and_the_oldest_first(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    older = DueAction("note:atoms:0", "crm", "note", "atoms", "0", note().payload, NOW - HOUR)
    outbox.enqueue([task(), note(), contact(), older], NOW, settings)
    register = Register(tmp_path / "r")
    dispatch(outbox, "crm", settings, now=NOW, destination=register)
    keys = ["contact:+12025550143", "note:atoms:0", "note:atoms:1", "task:atoms:1"]
    assert [key for _, key in register.did()] == keys
    assert [line["contact_id"] for line in register.lines()] == [None, "R1", "R1", "R1"]


def test_a_note_waits_for_its_contact_and_holds_up_nobody(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    other = note("2", "+493012345")
    outbox.enqueue([contact(), note(), other], NOW, settings)
    down = Register(tmp_path / "r", fail_on(contact().action_key, error=TransientError("503", after=HOUR)))
    report = dispatch(outbox, "crm", settings, now=NOW, destination=down)
    assert (report.sent, report.retrying, report.waiting, report.due) == (1, 1, 2, 0)
    assert report.next_attempt_at == NOW + HOUR
    assert dispatch(outbox, "crm", settings, now=NOW, destination=down).sent == 0
    report = dispatch(outbox, "crm", settings, now=NOW + HOUR, destination=Register(tmp_path / "r"))
    assert (report.sent, report.waiting) == (2, 0)


def test_a_note_goes_once_its_contact_is_dead_or_exists(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([contact(), note()], NOW, settings)
    refusing = Register(tmp_path / "r", fail_on(contact().action_key, error=Rejected("no")))
    while dispatch(outbox, "crm", settings, now=NOW, destination=refusing).due:
        pass
    assert status(outbox, note()) == "sent"
    outbox.enqueue([contact("+1"), note("2", "+1")], NOW, settings)
    dispatch(outbox, "crm", settings, now=NOW, destination=Register(tmp_path / "r"))
    outbox.enqueue([contact("+1", call_count=2), note("3", "+1")], NOW, settings)
    down = Register(tmp_path / "r", fail_on("contact:+1", error=TransientError("503")))
    assert dispatch(outbox, "crm", settings, now=NOW, destination=down).sent == 1


def test_a_task_waits_for_its_note_unless_that_is_dead(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([contact(), note(), task(), task("2")], NOW, settings)
    down = Register(tmp_path / "r", fail_on(note().action_key, error=TransientError("500", after=HOUR)))
    report = dispatch(outbox, "crm", settings, now=NOW, destination=down)
    assert (report.sent, report.retrying, report.waiting, report.due) == (2, 1, 2, 0)
    refusing = Register(tmp_path / "r", fail_on(note().action_key, error=Rejected("no")))
    later = NOW + HOUR
    assert dispatch(outbox, "crm", settings, now=later, destination=refusing).dead == 1
    assert status(outbox, task()) == "sent"
    outbox.enqueue([note("3"), task("3")], NOW, settings)
    outbox.give_up(note("3").action_key, "Grace")
    assert dispatch(outbox, "crm", settings, now=later, destination=Register(tmp_path / "r")).sent == 1


def test_one_bad_action_never_holds_up_the_others(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    rows = [ticket(str(number)) for number in range(4)]
    outbox.enqueue(rows, NOW, settings)
    register = Register(tmp_path / "r", fail_on(rows[0].action_key, error=KeyError("id")))
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=register)
    assert (report.sent, report.retrying, report.dead) == (3, 1, 0)
    bad = outbox.action(rows[0].action_key)
    assert bad is not None
    assert bad.last_error == "KeyError: 'id'"


def test_one_bad_preview_never_holds_up_the_others(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([email("1", to_address="nobody"), email("2", template="spam"), email("3")], NOW, settings)
    report = dispatch(outbox, "email", settings, now=NOW)
    assert (report.sent, report.dead, report.skipped) == (1, 1, 1)
    assert outbox.preview(email("1").action_key) is None


def test_it_waits_longer_and_longer_and_then_gives_up(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(retry_max_attempts=3, retry_base_seconds=60)
    down = Register(tmp_path / "r", fail_on(ticket().action_key, error=TransientError("503")))
    outbox.enqueue([ticket()], NOW, settings)
    now, results = NOW, []
    for _ in range(3):
        report = dispatch(outbox, "ticket", settings, now=now, destination=down)
        results.append((report.retrying, report.dead))
        action = outbox.action(ticket().action_key)
        assert action is not None
        if action.next_attempt_at:
            assert action.next_attempt_at - now <= timedelta(seconds=60 * 2 ** (action.failures - 1))
            now = action.next_attempt_at
    assert results == [(1, 0), (1, 0), (0, 1)]
    assert [attempt.outcome for attempt in outbox.attempts(ticket().action_key)] == [
        "retrying",
        "retrying",
        "dead",
    ]
    assert dispatch(outbox, "ticket", settings, now=now + 99 * HOUR).sent == 0
    outbox.retry(ticket().action_key)
    assert dispatch(outbox, "ticket", settings, now=now).sent == 1
    assert [attempt.number for attempt in outbox.attempts(ticket().action_key)] == [1, 2, 3, 4]


def test_refused_is_dead_at_once(outbox: Outbox, settings: IntegrationSettings, tmp_path: Path) -> None:
    outbox.enqueue([ticket()], NOW, settings)
    register = Register(tmp_path / "r", fail_on(ticket().action_key, error=Rejected("422: no such queue")))
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=register).dead == 1
    dead = outbox.action(ticket().action_key)
    assert dead is not None
    assert (dead.last_error, dead.next_attempt_at) == ("422: no such queue", None)


def test_the_limit(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(5)], NOW, settings)
    report = dispatch(outbox, "ticket", settings, now=NOW, limit=2)
    assert (report.sent, report.due) == (2, 3)


@pytest.mark.parametrize("action", [ticket, email])
def test_content_that_changes_while_it_is_sent(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, action: Callable[..., DueAction]
) -> None:
    def meanwhile(_: Delivery) -> None:
        outbox.enqueue([action(customer_name="Eve")], NOW, settings)

    outbox.enqueue([action()], NOW, settings)
    dispatch(outbox, action().channel, settings, now=NOW, destination=Register(tmp_path / "r", meanwhile))
    register = Register(tmp_path / "r")
    dispatch(outbox, action().channel, settings, now=NOW, destination=register)
    stored = outbox.action(action().action_key)
    assert stored is not None
    assert stored.payload["customer_name"] == register.lines()[-1]["payload"]["customer_name"]
    expected = ["create", "update"] if action is ticket else ["create"]
    assert [did for did, _ in register.did()] == expected


def test_an_id_of_another_destination_is_not_used(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket()], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    outbox.enqueue([ticket(title="new")], NOW, settings)
    register = Register(tmp_path / "r")
    dispatch(outbox, "ticket", settings, now=NOW, destination=register)
    assert register.did() == [("create", ticket().action_key)]
    moved = outbox.action(ticket().action_key)
    assert moved is not None
    assert (moved.destination, moved.external_id) == ("register", "R1")


@pytest.mark.parametrize("search_lists_it", [False, True])
def test_a_record_that_is_gone_is_created_anew(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, search_lists_it: bool
) -> None:
    class Forgetful(Register):
        """Its first record was deleted."""

        def find(self, delivery: Delivery) -> str | None:
            return "R1" if search_lists_it else None

        def send(self, delivery: Delivery, external_id: str | None) -> str:
            if external_id == "R1":
                raise NotFound("404")
            return super().send(delivery, external_id)

    outbox.enqueue([ticket()], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW, destination=Register(tmp_path / "r"))
    outbox.enqueue([ticket(title="new")], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW, destination=Forgetful(tmp_path / "r"))
    stored = outbox.action(ticket().action_key)
    assert stored is not None
    assert (stored.status, stored.external_id) == ("sent", "R2")


@pytest.mark.parametrize("name", ["nothing", "rendering", "../preview", "__init__", ""])
def test_an_unknown_destination_says_what_exists(
    make_settings: Callable[..., IntegrationSettings], name: str
) -> None:
    with pytest.raises(UnknownDestination, match=r"AFTERCALL_TICKETS=.*there is .*preview"):
        open_destination("ticket", make_settings(tickets=name))


def test_an_alert_is_an_action_and_comes_once(outbox: Outbox, settings: IntegrationSettings) -> None:
    for _ in range(2):
        alert(outbox, "run:42", "The run failed", settings, summary="<!here> disk full")
        dispatch(outbox, "chat", settings, now=NOW)
    preview = outbox.preview("pipeline_alert:run:42")
    assert preview is not None
    assert preview.revision == 1
    assert "<!here> disk full" in preview.body
