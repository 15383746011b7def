"""How people see an action: as its channel renders it, and only if it would go out."""

import json
from collections.abc import Callable

import pytest

from integrations.board.actions import look
from integrations.config import IntegrationSettings
from integrations.errors import Suppressed
from integrations.outbox import Outbox, dispatch
from tests.integrations.examples import NOW, email, slack, ticket

Settings = Callable[..., IntegrationSettings]


def test_a_ticket_and_a_message_lead_to_the_board(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings(board_url="https://board.example")
    outbox.enqueue([ticket(), slack()], NOW, settings)
    shown = {
        action.channel: json.loads(outbox.rendered(action, settings).body) for action in outbox.actions()
    }
    page = "https://board.example/calls/atoms/1"
    assert shown["ticket"]["link"] == page
    assert [button["url"] for button in shown["chat"]["buttons"]] == [page]


def test_a_mail_that_its_customer_does_not_want_is_refused_everywhere(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    outbox.enqueue([email(email_consent=False)], NOW, settings)
    (action,) = outbox.actions()
    with pytest.raises(Suppressed) as refusal:
        outbox.rendered(action, settings)
    (plan,) = outbox.plans("email", settings, NOW, 1)
    assert str(refusal.value) == look(outbox, action, settings).refusal
    assert plan.reason == f"held back: {refusal.value}"


def test_a_mail_that_went_out_is_shown_though_its_customer_wants_none_any_more(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    outbox.enqueue([email()], NOW, settings)
    dispatch(outbox, "email", settings, now=NOW)
    settings.home.mkdir(exist_ok=True)
    (settings.home / "suppressed.txt").write_text("ada@example.com")
    (action,) = outbox.actions()
    assert "ada@example.com" in outbox.rendered(action, settings).body
