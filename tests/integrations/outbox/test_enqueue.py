"""Each sentence of the rules about what happens to an action when it is (still) due."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import Rejected
from integrations.outbox import Action, DueAction, EnqueueReport, Outbox, SkipReason, dispatch
from tests.integrations.examples import NOW, Register, contact, email, note, slack, task, ticket

DAY = timedelta(days=1)


def the(outbox: Outbox, action: DueAction) -> Action:
    stored = outbox.action(action.action_key)
    assert stored is not None
    return stored


def test_new_actions_are_pending_and_the_same_rows_again_change_nothing(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    rows = [ticket(), email(), contact(), note(), task(), slack()]
    assert outbox.enqueue(rows, NOW, settings) == EnqueueReport(created=6)
    before = outbox.actions()
    assert {action.status for action in before} == {"pending"}
    assert outbox.enqueue(rows, NOW + DAY * 3, settings) == EnqueueReport(unchanged=6)
    assert outbox.actions() == before


def test_of_equal_keys_in_one_fill_the_last_counts(outbox: Outbox, settings: IntegrationSettings) -> None:
    assert outbox.enqueue([ticket(title="a"), ticket(title="b")], NOW, settings).created == 1
    assert the(outbox, ticket()).payload["title"] == "b"


def test_a_fill_that_breaks_leaves_nothing(outbox: Outbox, settings: IntegrationSettings) -> None:
    def rows() -> object:
        for number in range(3_000):
            yield ticket(str(number))
        raise RuntimeError("the warehouse went away")

    with pytest.raises(RuntimeError):
        outbox.enqueue(rows(), NOW, settings)  # type: ignore[arg-type]
    assert outbox.counts() == []


@pytest.mark.parametrize(
    ("action", "limit"), [(ticket, 30 * DAY), (contact, 30 * DAY), (email, DAY), (slack, DAY)]
)
def test_too_old_when_first_seen_is_skipped_for_good(
    outbox: Outbox, settings: IntegrationSettings, action: Callable[[], DueAction], limit: timedelta
) -> None:
    just = outbox.enqueue([action()], NOW + limit, settings)
    assert just == EnqueueReport(created=1)
    late = action()
    late = DueAction(
        late.action_key + "x", late.channel, late.kind, late.source, late.call_id, late.payload, late.due_at
    )
    assert outbox.enqueue([late], NOW + limit + timedelta(seconds=1), settings) == EnqueueReport(skipped=1)
    assert (the(outbox, late).status, the(outbox, late).last_error) == ("skipped", "too old")
    outbox.enqueue([late], NOW, settings)
    assert the(outbox, late).status == "skipped"


def test_an_action_that_waits_does_not_become_too_old(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([email()], NOW, settings)
    outbox.enqueue([email(summary="corrected")], NOW + 9 * DAY, settings)
    assert the(outbox, email()).status == "pending"


def test_the_age_limit_can_be_turned_off(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings]
) -> None:
    assert outbox.enqueue([email()], NOW + 400 * DAY, make_settings(ignore_action_age=True)).created == 1


def test_without_an_address_skipped_visibly_and_sent_when_it_arrives(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    missing = email(to_address=None, skip_reason=SkipReason.NO_ADDRESS)
    assert outbox.enqueue([missing], NOW, settings) == EnqueueReport(skipped=1)
    assert (the(outbox, missing).status, the(outbox, missing).last_error) == ("skipped", "no address")
    assert dispatch(outbox, "email", settings, now=NOW).sent == 0
    assert outbox.enqueue([email()], NOW + 5 * DAY, settings) == EnqueueReport(updated=1)
    assert the(outbox, email()).last_error is None
    assert dispatch(outbox, "email", settings, now=NOW).sent == 1


def test_an_address_that_goes_before_the_mail_does(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([email()], NOW, settings)
    outbox.enqueue([email(to_address=None, skip_reason=SkipReason.NO_ADDRESS)], NOW, settings)
    assert the(outbox, email()).status == "skipped"


@pytest.mark.parametrize("action", [ticket, contact, note, task])
def test_updatable_kinds_change_the_same_record(
    outbox: Outbox,
    make_settings: Callable[..., IntegrationSettings],
    tmp_path: Path,
    action: Callable[..., DueAction],
) -> None:
    settings = make_settings(tickets="register", crm="register")
    register = Register(tmp_path / "register")
    first = action()
    outbox.enqueue([first], NOW, settings)
    assert dispatch(outbox, first.channel, settings, now=NOW, destination=register).sent == 1
    assert outbox.enqueue([action(extra="more is known")], NOW, settings) == EnqueueReport(updated=1)
    assert (the(outbox, first).status, the(outbox, first).external_id) == ("pending", "R1")
    assert dispatch(outbox, first.channel, settings, now=NOW, destination=register).updated == 1
    assert register.did() == [("create", first.action_key), ("update", first.action_key)]
    assert register.lines()[1]["id"] == "R1"
    assert register.lines()[1]["payload"]["extra"] == "more is known"


@pytest.mark.parametrize("action", [email, slack])
def test_other_kinds_are_replaced_until_sent_and_then_frozen(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, action: Callable[..., DueAction]
) -> None:
    register = Register(tmp_path / "register")
    outbox.enqueue([action(summary="first")], NOW, settings)
    assert outbox.enqueue([action(summary="second")], NOW, settings) == EnqueueReport(updated=1)
    dispatch(outbox, action().channel, settings, now=NOW, destination=register)
    assert outbox.enqueue([action(summary="third")], NOW, settings) == EnqueueReport(unchanged=1)
    dispatch(outbox, action().channel, settings, now=NOW, destination=register)
    assert [line["payload"]["summary"] for line in register.lines()] == ["second"]
    assert the(outbox, action()).payload["summary"] == "second"


def _refused(outbox: Outbox, settings: IntegrationSettings, path: Path, action: DueAction) -> None:
    def refuse(_: object) -> None:
        raise Rejected("no such queue")

    outbox.enqueue([action], NOW, settings)
    dispatch(outbox, action.channel, settings, now=NOW, destination=Register(path, refuse))
    assert the(outbox, action).status == "dead"


@pytest.mark.parametrize("action", [ticket, email])
def test_dead_gets_a_new_chance_with_new_content_only(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, action: Callable[..., DueAction]
) -> None:
    _refused(outbox, settings, tmp_path / "register", action())
    assert outbox.enqueue([action()], NOW, settings) == EnqueueReport(unchanged=1)
    outbox.enqueue([action(customer_name="Eve")], NOW, settings)
    assert (the(outbox, action()).status, the(outbox, action()).failures) == ("pending", 0)


def test_dead_and_sent_only_once_stays_dead_when_too_old(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    _refused(outbox, settings, tmp_path / "register", email())
    outbox.enqueue([email(customer_name="Eve")], NOW + 2 * DAY, settings)
    assert the(outbox, email()).status == "dead"


def test_given_up_stays_so_whatever_comes(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([ticket()], NOW, settings)
    outbox.give_up(ticket().action_key, "Grace")
    outbox.enqueue([ticket(title="new")], NOW, settings)
    assert (the(outbox, ticket()).status, the(outbox, ticket()).payload["title"]) == ("dead", "new")


def test_a_wait_after_a_failure_survives_new_content(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    def down(_: object) -> None:
        raise OSError("down")

    outbox.enqueue([ticket()], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW, destination=Register(tmp_path / "r", down))
    before = the(outbox, ticket())
    outbox.enqueue([ticket(title="new")], NOW, settings)
    after = the(outbox, ticket())
    assert (after.status, after.next_attempt_at) == ("retrying", before.next_attempt_at)
    assert (after.failures, after.payload["title"]) == (1, "new")


def test_odd_content_is_stored_as_far_as_it_can_be(outbox: Outbox, settings: IntegrationSettings) -> None:
    deep: object = "end"
    for _ in range(300):
        deep = [deep]
    odd: dict[str, Any] = {
        "surrogate": "\ud83d!", "nul": "a\x00b", "huge": 2**80, "nan": float("nan"), "deep": deep, "at": NOW,
        "rtl": "שלום \u202e", "emoji": "👩‍👩‍👧", "long": "x" * 1_000_000,
    }  # fmt: skip
    outbox.enqueue([ticket(**odd)], NOW, settings)
    stored_payload = the(outbox, ticket()).payload
    assert stored_payload["surrogate"] == "\ufffd!"
    assert stored_payload["nan"] is None
    assert stored_payload["at"] == "2026-11-02T08:00:00Z"
    assert (stored_payload["rtl"], stored_payload["emoji"], len(stored_payload["long"])) == (
        odd["rtl"],
        odd["emoji"],
        1_000_000,
    )
    assert outbox.enqueue([ticket(**odd)], NOW, settings) == EnqueueReport(unchanged=1)


def test_an_unknown_channel_is_a_clear_error(outbox: Outbox, settings: IntegrationSettings) -> None:
    with pytest.raises(ValueError, match="ticket, email, crm, chat"):
        outbox.enqueue([DueAction("k", "fax", "fax", None, None, {})], NOW, settings)
