"""Tickets in HubSpot, by a fake that HubSpot's own description judges, and that keeps unique what is to be unique."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import Forbidden, Rejected
from integrations.outbox import DueAction
from integrations.ticket.hubspot import HubSpotTickets
from integrations.ticket.updating import reference
from tests.integrations import servers
from tests.integrations.examples import delivery, ticket
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UpdateFaults,
)
from tests.integrations.servers import System
from tests.integrations.ticket.fakes.hubspot import TOKEN, FakeHubSpot
from tests.integrations.ticket.suite import TRANSCRIPT, TicketSuite, TicketSystem, changed

Make = Callable[..., HubSpotTickets]


def settings(url: str) -> dict[str, Any]:
    return {
        "tickets": "hubspot", "hubspot_api_url": url, "hubspot_token": TOKEN,
        "hubspot_ticket_stages": "billing=12/34,0/1",
    }  # fmt: skip


@pytest.fixture
def hubspot(system: System) -> Iterator[FakeHubSpot]:
    system.always = fake = FakeHubSpot()
    yield fake
    assert fake.complaints == []


@pytest.fixture
def desk(hubspot: FakeHubSpot, system: System, tmp_path: Path) -> Iterator[Make]:
    opened = []

    def make(**changes: Any) -> HubSpotTickets:
        opened.append(HubSpotTickets(IntegrationSettings(home=tmp_path, **(settings(system.url) | changes))))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_ticket(hubspot: FakeHubSpot, desk: Make) -> None:
    hubspot.contacts = {"5": {"email": "eve@example.com"}, "6": {"email": "ada@example.com"}}
    row = ticket(description=f"It broke.{TRANSCRIPT}", priority="urgent")
    number = desk().send(delivery(row), None)
    stored = hubspot.tickets[number]
    assert (stored["subject"], stored["hs_ticket_priority"]) == ("Rental car: Ada", "URGENT")
    assert (stored["hs_pipeline"], stored["hs_pipeline_stage"]) == ("0", "1")
    assert stored["aftercall_key"] == reference(row.action_key)
    assert stored["content"].startswith("It broke.\n\nCustomer: Ada")
    assert stored["content"].endswith("Transcript\n\nAgent: Hello?\nCustomer: It is broken.")
    assert hubspot.hung == {(number, "6")}
    other = desk().send(delivery(ticket("2", queue="Billing")), None)
    assert hubspot.tickets[other]["hs_pipeline"] == "12"
    assert desk().link("ticket", number) is None
    assert (
        desk(hubspot_portal="77").link("ticket", number)
        == f"https://app.hubspot.com/contacts/77/record/0-5/{number}"
    )


@pytest.mark.parametrize(
    "contact",
    [
        {"phone": "+12025550143"},
        {"mobilephone": "+12025550143"},
        {"phone": "(202) 555-0143", "hs_searchable_calculated_phone_number": "2025550143"},
    ],
)
def test_the_contact_is_known_by_phone(hubspot: FakeHubSpot, desk: Make, contact: dict[str, str]) -> None:
    hubspot.contacts = {"6": contact}
    number = desk().send(delivery(ticket(customer_email=None)), None)
    assert hubspot.hung == {(number, "6")}


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        # Somebody in another country has the same digits.
        ({"5": {"phone": "+492025550143", "hs_searchable_calculated_phone_number": "2025550143"}}, set()),
        # An address is no proof where the contact has another number.
        ({"5": {"email": "ada@example.com", "phone": "+4930123456"}}, set()),
        ({"5": {"phone": "+12025550143"}, "6": {"aftercall_key": "contact:+12025550143"}}, {"6"}),
        ({"5": {"phone": "+12025550143"}, "6": {"phone": "+12025550143"}}, {"5"}),
    ],
)
def test_which_contact_it_is(
    hubspot: FakeHubSpot, desk: Make, contacts: dict[str, dict[str, str]], expected: set[str]
) -> None:
    hubspot.contacts = contacts
    number = desk().send(delivery(ticket()), None)
    assert hubspot.hung == {(number, contact) for contact in expected}


def test_without_a_number_the_address_will_do(hubspot: FakeHubSpot, desk: Make) -> None:
    hubspot.contacts = {"5": {"email": "ada@example.com", "phone": "+4930123456"}}
    number = desk().send(delivery(ticket(customer_phone=None)), None)
    assert hubspot.hung == {(number, "5")}
    desk().send(delivery(ticket("2", customer_phone=None, customer_email=None)), None)
    assert len(hubspot.hung) == 1


def test_a_contact_that_comes_later_gets_its_ticket(hubspot: FakeHubSpot, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    assert hubspot.hung == set()
    hubspot.contacts["6"] = {"phone": "+12025550143"}
    desk().send(delivery(changed(row, description="Later.")), number)
    assert hubspot.hung == {(number, "6")}
    hubspot.contacts = {"9": {"email": "ada@example.com"}}
    desk().send(delivery(changed(row, description="Later still.")), number)
    assert hubspot.hung == {(number, "6")}


def test_it_is_found_again_and_the_properties_are_created_once(
    hubspot: FakeHubSpot, desk: Make, system: System
) -> None:
    row, target = delivery(ticket()), desk()
    assert target.find(row) is None
    assert hubspot.properties == {}
    number = target.send(row, None)
    assert target.find(row) == desk().find(row) == number
    assert target.find(delivery(ticket("2"))) is None
    assert hubspot.properties["aftercall_key"]["hasUniqueValue"] is True
    paths = [
        one for one in system.requests if one.method == "POST" and one.path.endswith("/properties/tickets")
    ]
    assert len(paths) == 2


def test_two_at_once_make_one(hubspot: FakeHubSpot, desk: Make) -> None:
    # Both looked before either wrote.
    numbers = {desk().send(delivery(ticket()), None) for _ in range(2)}
    assert len(numbers) == len(hubspot.tickets) == 1


def test_a_text_that_an_agent_rewrote_is_added_to(hubspot: FakeHubSpot, desk: Make) -> None:
    row = ticket(description=f"It broke.{TRANSCRIPT}")
    number = desk().send(delivery(row), None)
    hubspot.tickets[number]["content"] = "Rewritten."
    for text in ("Refunded.", "Refunded.", "Refunded again."):
        later = changed(row, description=f"{text}{TRANSCRIPT}")
        desk().send(delivery(later), number)
    stored = hubspot.tickets[number]
    assert stored["content"].startswith(
        "Rewritten.\n\n---\nLater, from the call:\n\nRefunded.\n\nCustomer: Ada"
    )
    assert [stored["content"].count(text) for text in ("Refunded.", "Refunded again.", "Hello?")] == [1, 1, 0]


def test_long_words_fit(hubspot: FakeHubSpot, desk: Make) -> None:
    row = ticket(title="t" * 900, description=f"S.\n\nAgent: {'wörd ' * 90_000}")
    number = desk().send(delivery(row), None)
    hubspot.tickets[number]["content"] += "mine"
    desk().send(delivery(changed(row, description=f"Later.\n\nAgent: {'word ' * 90_000}")), number)
    assert len(hubspot.tickets[number]["content"]) > 50_000


def test_what_would_change(hubspot: FakeHubSpot, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    planned = desk().planned(delivery(changed(row, priority="low")), number)
    assert planned["hs_ticket_priority"] == "LOW"
    assert desk().current(delivery(row), number) == {**planned, "hs_ticket_priority": "NORMAL"}


def test_the_check_names_what_is_missing(hubspot: FakeHubSpot, desk: Make) -> None:
    results = {one.name: one.message for one in desk().check()}
    assert results["credentials"] == "account 77"
    assert results["scopes"] == "all there"
    assert results["stage 12/34"] == "Pipeline 12, Billing"
    assert results["property aftercall_key"].startswith("not there yet")
    assert hubspot.properties == {}
    hubspot.properties["aftercall_key"] = {"hasUniqueValue": False}
    hubspot.scopes.remove("tickets")
    wrong = {
        one.name: one.message for one in desk(hubspot_ticket_stages="a=9/1,0/7").check() if not one.is_fine
    }
    assert set(wrong) == {"scopes", "property aftercall_key", "stage 9/1", "stage 0/7"}
    assert wrong["scopes"] == "the private app needs the scopes tickets too"
    assert "delete it, and it is made anew" in wrong["property aftercall_key"]
    assert wrong["stage 0/7"] == "pipeline 0 has no stage 7; it has 1, 2"
    refused = next(iter(desk(hubspot_token="pat-wrong").check())).message
    assert "INVALID_AUTHENTICATION: Authentication credentials not found. (correlation id 6cb8" in refused


@pytest.mark.parametrize(
    ("refused", "changes", "note"),
    [
        (("hs_ticket_priority",), {}, "hs ticket priority (HubSpot answered 400: VALIDATION_ERROR"),
        ((), {"hubspot_ticket_stages": "7/9"}, "pipeline (HubSpot answered 400: VALIDATION_ERROR"),
        ((), {"hubspot_ticket_stages": "0/9"}, "pipeline (HubSpot answered 400: VALIDATION_ERROR"),
        (
            ("hs_ticket_priority",), {"hubspot_ticket_stages": "0/9"},
            "pipeline, hs ticket priority (HubSpot answered 400: VALIDATION_ERROR",
        ),
    ],
)  # fmt: skip
def test_what_hubspot_refuses_of_a_ticket_is_left_out_and_named(
    hubspot: FakeHubSpot, desk: Make, refused: tuple[str, ...], changes: dict[str, Any], note: str
) -> None:
    hubspot.refused = refused
    row = ticket(priority="urgent")
    number = desk(**changes).send(delivery(row), None)
    stored = hubspot.tickets[number]
    assert stored.get("hs_ticket_priority") == (None if refused else "URGENT")
    # HubSpot takes no ticket without a stage: the first of its own first pipeline.
    assert (stored["hs_pipeline"], stored["hs_pipeline_stage"]) == (("12", "34") if changes else ("0", "1"))
    assert f"Left out: {note}" in stored["content"]
    assert len(hubspot.tickets) == 1


def test_a_contact_that_is_gone_does_not_keep_a_ticket_from_being_created(
    hubspot: FakeHubSpot, desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = desk()
    # Deleted between the search, which is behind, and the ticket.
    monkeypatch.setattr(target, "_contact", lambda shown: "9")
    number = target.send(delivery(ticket()), None)
    assert (hubspot.hung, "Left out: contact (" in hubspot.tickets[number]["content"]) == (set(), True)


def test_its_own_words(hubspot: FakeHubSpot, desk: Make) -> None:
    hubspot.refused = ("subject",)
    with pytest.raises(
        Rejected, match=r"400: VALIDATION_ERROR: Property values were not valid: subject .correlation id 6cb8"
    ):
        desk().send(delivery(ticket()), None)
    hubspot.properties, hubspot.may_make_properties = {}, False
    with pytest.raises(Forbidden, match=r"MISSING_SCOPES: requires all of \[crm.schemas.tickets.write\]"):
        desk().send(delivery(ticket()), None)


class UnderHubSpot(TicketSystem):
    called = "HubSpot"
    updates_text = True
    missing = (
        ({"hubspot_token": ""}, "AFTERCALL_HUBSPOT_TOKEN"),
        ({"hubspot_api_url": "api"}, "AFTERCALL_HUBSPOT_API_URL"),
        ({"hubspot_ticket_stages": "1"}, "AFTERCALL_HUBSPOT_TICKET_STAGES"),
    )

    def __init__(self, system: System) -> None:
        self.upstream, self.url = system.address, system.url
        system.always = self.fake = FakeHubSpot()

    def title(self, number: str) -> str:
        return str(self.fields(number)["subject"])

    def priority(self, number: str) -> str:
        return str(self.fields(number)["hs_ticket_priority"]).lower()

    def fields(self, number: str) -> dict[str, Any]:
        return self.fake.tickets[number]

    def text(self, number: str) -> str:
        return str(self.fields(number)["content"])

    def edit(self, number: str) -> dict[str, Any]:
        theirs = {"hs_ticket_priority": "LOW", "hs_pipeline_stage": "2", "hubspot_owner_id": "9"}
        self.fake.tickets[number] |= theirs
        return theirs

    def remove(self, number: str) -> None:
        del self.fake.tickets[number]

    def settings(self, url: str) -> dict[str, Any]:
        return settings(url)

    def wrong_credentials(self) -> dict[str, Any]:
        return {"hubspot_token": "pat-wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        news = f"revision {revision}"
        return [ticket(case, title=news, description=news)]

    def count(self, action: DueAction) -> int:
        return len(self.fake.of(reference(action.action_key)))

    def stored_text(self, action: DueAction) -> str:
        return str([self.fake.tickets[number] for number in self.fake.of(reference(action.action_key))])

    def delete(self, action: DueAction) -> None:
        for number in self.fake.of(reference(action.action_key)):
            del self.fake.tickets[number]


class TestSystem(TicketSuite, FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderHubSpot]:
        with servers.running() as system:
            under = UnderHubSpot(system)
            yield under
            assert under.fake.complaints == []
            assert all("Later, from the call" not in one["content"] for one in under.fake.tickets.values())
