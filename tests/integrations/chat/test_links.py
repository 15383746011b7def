"""From a Slack message to what was made for its call elsewhere, by the addresses that the other systems give."""

from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.outbox import Outbox, dispatch
from integrations.outbox.models import DueAction
from tests.integrations.examples import NOW, Register, contact, note, slack, ticket


class LinksRegister(Register):
    """Stands in for Slack: keeps what links a message was given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.links: dict[str, dict[str, str]] = {}

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        self.links[delivery.action_key] = dict(delivery.links)
        return super().send(delivery, external_id)


@pytest.fixture
def links_of(outbox: Outbox, url: str, tmp_path: Path) -> Any:
    """Sends actions: tickets and contacts to systems that answer, then Slack messages; the links of the last."""
    register = LinksRegister(tmp_path / "slack")

    def run(rows: list[DueAction], **changes: Any) -> dict[str, str]:
        settings = IntegrationSettings(home=tmp_path, outbox_url=url, **changes)
        outbox.enqueue(rows, NOW, settings)
        for channel, name in (("ticket", "zendesk"), ("crm", "hubspot")):
            system = Register(tmp_path / channel)
            system.name = name
            dispatch(outbox, channel, settings, now=NOW, destination=system)
        dispatch(outbox, "chat", settings, now=NOW, destination=register)
        return register.links[rows[-1].action_key]

    return run


ZENDESK = {
    "tickets": "zendesk", "zendesk_url": "https://shop.zendesk.com", "zendesk_email": "a@shop.de", "zendesk_token": "x"
}  # fmt: skip


def test_the_ticket_of_the_call_and_no_other(links_of: Any) -> None:
    links = links_of([ticket("1"), ticket("2"), slack("2")], **ZENDESK)
    assert links == {"ticket": "https://shop.zendesk.com/agent/tickets/R2"}


def test_the_contact_of_the_call_though_a_later_call_speaks_for_it(links_of: Any) -> None:
    rows = [note("7"), contact(), slack("7")]
    hubspot = {"crm": "hubspot", "hubspot_token": "x", "hubspot_portal": "42"}
    links = links_of(rows, **hubspot)
    assert set(links) == {"contact"}
    assert links["contact"].startswith("https://")
    assert links_of([slack("9")], **hubspot) == {}


def test_without_settings_or_a_record_there_is_no_link_and_the_message_goes_out(links_of: Any) -> None:
    assert links_of([slack("1")], **ZENDESK) == {}
    assert links_of([ticket("2"), slack("2")], **ZENDESK | {"zendesk_token": ""}) == {}
    assert links_of([ticket("3"), slack("3", "pipeline_alert")]) == {}
