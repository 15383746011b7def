"""Contacts, leads and tasks in a Salesforce that answers as its guide says, and as its own library understands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.crm.salesforce import SalesforceCrm
from integrations.destinations import Delivery, SupportsDiff
from integrations.errors import (
    NotFound,
)
from integrations.outbox import DueAction, Outbox, dispatch
from tests.integrations.crm.salesforce_fake import FakeSalesforce, ours
from tests.integrations.crm.suite import put
from tests.integrations.examples import NOW, contact, delivery, note, record_goes_out, task, with_news
from tests.integrations.servers import System

PHONE = "+12025550143"
Open = Callable[..., SalesforceCrm]


def on(action: DueAction, contact_id: str) -> Delivery:
    return Delivery(**(vars(delivery(action)) | {"contact_id": contact_id}))


def test_a_contact_a_note_and_a_task_through_the_outbox(
    system: System, org: FakeSalesforce, outbox: Outbox, tmp_path: Path
) -> None:
    settings = IntegrationSettings(home=tmp_path, **ours(system.url))
    rows = [
        contact(name="Ada King Lovelace"), task(priority="high", subject="x" * 300),
        note(body="It's 5 o'clock \\ " * 4_000, started_at="2026-11-02T07:55:00Z", disposition="successful"),
    ]  # fmt: skip
    outbox.enqueue(rows, NOW, settings)
    assert dispatch(outbox, "crm", settings, now=NOW).sent == 3
    (person,), (call, due) = org.all("Contact"), org.all("Task")
    assert (person["FirstName"], person["LastName"], person["Phone"]) == ("Ada King", "Lovelace", PHONE)
    assert (call["Status"], call["TaskSubtype"], call["CallDurationInSeconds"]) == ("Completed", "Call", 300)
    assert (call["ActivityDate"], call["CallDisposition"]) == ("2026-11-02", "successful")
    assert len(call["Description"]) <= 32_000
    assert call["Description"].endswith("Call: 1 (atoms)")
    assert (due["Status"], due["Priority"], due["ActivityDate"]) == ("Not Started", "High", "2026-11-03")
    assert call["WhoId"] == due["WhoId"] == person["Id"]
    assert [one.path for one in system.requests].count("/services/oauth2/token") == 1


@pytest.mark.parametrize("action", [contact(), note("it's %_\\"), task()], ids=lambda action: action.kind)
def test_what_was_created_is_found_although_sosl_is_behind(salesforce: Open, action: DueAction) -> None:
    record_id = put(salesforce(), action)
    assert salesforce().find(delivery(action)) == record_id
    assert put(salesforce(), action) == record_id


@pytest.mark.parametrize(
    "written", ["(202) 555-0143", "202.555.0143", "+1 202 555 0143", "2025550143 ext. 9", "202/555 01-43"]
)
@pytest.mark.parametrize("name", ["Phone", "MobilePhone"])
def test_a_number_is_known_in_whatever_spelling(
    salesforce: Open, org: FakeSalesforce, written: str, name: str
) -> None:
    person_id = org.person(**{name: written})
    assert put(salesforce(), contact()) == person_id
    (person,) = org.all("Contact")
    assert (person["LastName"], person[name]) == ("Hopper", written)


def test_the_oldest_counts_and_a_contact_before_a_lead(salesforce: Open, org: FakeSalesforce) -> None:
    lead = org.person("Lead", Phone="(202) 555-0143", Company="Shop")
    assert put(salesforce(), contact()) == lead
    oldest = org.person(Phone=PHONE)
    org.person(MobilePhone="202-555-0143")
    org.person(Phone="+442025550143")
    assert put(salesforce(), contact()) == oldest
    assert (len(org.all("Contact")), len(org.all("Lead"))) == (3, 1)


def test_a_lead_that_was_converted_is_the_contact_it_became(salesforce: Open, org: FakeSalesforce) -> None:
    crm = salesforce(salesforce_new="Lead", salesforce_company="unknown")
    lead = put(crm, contact())
    assert org.all("Lead")[0]["Company"] == "unknown"
    became = org.person(LastName="Ada", Phone=PHONE)
    org.write("Lead", lead, {"IsConverted": True, "ConvertedContactId": became})
    assert crm.send(delivery(contact(email="new@example.com")), lead) == became
    crm.send(on(note(), lead), None)
    assert org.all("Task")[0]["WhoId"] == became


def test_who_has_the_address_and_no_number_gets_the_number(salesforce: Open, org: FakeSalesforce) -> None:
    known = org.person(Email="ADA@example.com")
    assert put(salesforce(), contact()) == known
    assert org.all("Contact")[0]["Phone"] == PHONE


def test_an_address_that_salesforce_does_not_take_is_left_out(salesforce: Open, org: FakeSalesforce) -> None:
    put(salesforce(), contact(email="ada@invalid.example.com"))
    assert (org.all("Contact")[0]["LastName"], org.all("Contact")[0]["Email"]) == ("Ada", None)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Ada " * 20 + "Lovelace", "Ada " * 9 + "Ada…", "Lovelace"),
        ("Ada " + "l" * 300, "Ada", "l" * 79 + "…"),
        ("l" * 300, None, "l" * 79 + "…"),
        ("👩🏽" * 30 + " King", "👩🏽" * 9 + "…", "King"),
        (
            "e\u0301" * 30 + " " + "👨\u200d👩\u200d👧" * 30,
            "e\u0301" * 19 + "…",
            "👨\u200d👩\u200d👧" * 9 + "…",
        ),
    ],
)
def test_a_name_is_cut_to_what_salesforce_takes_and_stands_whole_in_the_description(
    salesforce: Open, org: FakeSalesforce, system: System, name: str, first: str | None, last: str
) -> None:
    crm = salesforce()
    record_id = put(crm, contact(name=name))
    (person,) = org.all("Contact")
    assert (person["FirstName"], person["LastName"], person["Email"]) == (first, last, "ada@example.com")
    assert person["Description"] == f"Full name: {name}"
    assert sum(one.method == "POST" and "Contact" in one.path for one in system.requests) == 1
    # A later call writes nothing, and nothing over what people wrote.
    org.write("Contact", record_id, {"Description": "Mine.", "LastName": "Countess", "FirstName": None})
    assert put(crm, contact(name=name, call_count=2)) == record_id
    assert (org.all("Contact")[0]["Description"], org.all("Contact")[0]["LastName"]) == ("Mine.", "Countess")


def test_a_name_that_comes_later_is_cut_too_and_reported_where_there_is_room(
    salesforce: Open, org: FakeSalesforce
) -> None:
    crm, name = salesforce(), "Ada " * 20 + "Lovelace"
    record_id = put(crm, contact(name=None, email=None))
    put(crm, contact(name=name, email=None))
    assert org.all("Contact")[0]["Description"] == f"Full name: {name}"
    org.write("Contact", record_id, {"Description": "Mine."})
    put(crm, contact(name=name))
    (person,) = org.all("Contact")
    assert (person["Description"], person["Email"]) == ("Mine.", "ada@example.com")


@pytest.mark.parametrize(
    ("shortest", "first", "last", "left"),
    [
        ({"FirstName": 2}, None, "Lovelace", "first name"),
        ({"Email": 5}, "Ada", "Lovelace", "email"),
        ({"Email": 5, "FirstName": 2}, None, "Lovelace", "first name"),
    ],
)  # fmt: skip
def test_a_length_that_nobody_foresaw_costs_that_field_only(
    salesforce: Open, org: FakeSalesforce, shortest: dict[str, int], first: str | None, last: str, left: str
) -> None:
    org.shortest = shortest
    put(salesforce(), contact(name="Ada Lovelace"))
    (person,) = org.all("Contact")
    assert (person["FirstName"], person["LastName"]) == (first, last)
    assert person["Email"] == (None if "Email" in shortest else "ada@example.com")
    assert person["Description"].startswith("Left out: ")
    assert left in person["Description"]
    assert "STRING_TOO_LONG" in person["Description"]


def test_without_a_last_name_the_number_stands_in(salesforce: Open, org: FakeSalesforce) -> None:
    org.shortest = {"LastName": 15}
    put(salesforce(), contact(name="Ada Lovelace-Countess"))
    (person,) = org.all("Contact")
    assert (person["FirstName"], person["LastName"]) == (None, "+1 202-555-0143")


def test_an_address_that_is_too_long_is_reported_in_the_description(
    salesforce: Open, org: FakeSalesforce
) -> None:
    address = f"{'a' * 70}@example.com"
    put(salesforce(), contact(email=address))
    (person,) = org.all("Contact")
    assert (person["Email"], person["Description"]) == (None, f"E-mail: {address}")


def test_a_field_of_ones_own_that_is_gone_is_left_out(salesforce: Open, org: FakeSalesforce) -> None:
    crm = salesforce(crm_fields="call_count=Nothing__c, is_vip=Vip__c")
    record_id = put(crm, contact(is_vip=True))
    (person,) = org.all("Contact")
    assert (person["Vip__c"], person["Email"]) == (True, "ada@example.com")
    assert "Left out: Nothing" in person["Description"]
    assert put(crm, contact(call_count=2)) == record_id


def test_a_task_goes_without_the_values_that_the_org_takes_no_more(
    salesforce: Open, org: FakeSalesforce
) -> None:
    org.refused_fields = ("Priority", "CallDisposition")
    put(salesforce(), task(priority="high"))
    put(salesforce(), note(disposition="resolved"))
    todo, call = org.all("Task")
    assert (todo["Priority"], call["CallDisposition"], call["CallDurationInSeconds"]) == (None, None, 300)
    assert "Left out: Priority (Salesforce answered 400" in todo["Description"]
    assert "Left out: CallDisposition (Salesforce answered 400" in call["Description"]


def test_a_duplicate_that_salesforce_names_is_the_caller(salesforce: Open, org: FakeSalesforce) -> None:
    org.blocks_duplicates = True
    crm = salesforce()
    # Made a moment ago by others: neither query nor search has it yet when aftercall looks.
    hidden = crm.candidates
    crm.candidates = lambda phone, email: []  # type: ignore[method-assign]
    known = org.person(Email="ada@example.com", Phone=None, LastName="Lovelace")
    assert put(crm, contact()) == known
    (person,) = org.all("Contact")
    assert (person["Phone"], person["LastName"], person["Email"]) == (PHONE, "Lovelace", "ada@example.com")
    # One with another number is somebody else: the caller's own contact goes without the address.
    org.write("Contact", known, {"Phone": "+493012345678"})
    other = put(crm, contact())
    assert other != known
    assert [(one["Phone"], one["Email"]) for one in org.all("Contact")] == [
        ("+493012345678", "ada@example.com"), (PHONE, None),
    ]  # fmt: skip
    crm.candidates = hidden  # type: ignore[method-assign]


def test_what_a_person_wrote_stays_and_what_is_empty_is_filled(
    salesforce: Open, org: FakeSalesforce, system: System
) -> None:
    crm = salesforce(crm_fields="call_count=Calls__c, is_vip=Vip__c, last_call_at=Called__c")
    record_id = put(crm, contact(name=None, email=None))
    assert org.all("Contact")[0]["LastName"] == "+1 202-555-0143"
    put(crm, contact(name="Ada", email=None))
    assert org.all("Contact")[0]["LastName"] == "Ada"
    org.write("Contact", record_id, {"LastName": "Countess", "Phone": "(202) 555-0143"})
    put(crm, contact(name="Ada King", call_count=2, is_vip=True, last_call_at="2026-11-02T08:00:00+00:00"))
    (stored,) = org.all("Contact")
    assert (stored["LastName"], stored["FirstName"], stored["Phone"]) == ("Countess", None, "(202) 555-0143")
    assert (stored["Email"], stored["Calls__c"], stored["Vip__c"]) == ("ada@example.com", 2, True)
    assert stored["Called__c"] == "2026-11-02T08:00:00Z"
    org.write("Contact", record_id, {"Calls__c": 2.0})
    before = len(system.requests)
    put(crm, contact(call_count=2, is_vip=True, last_call_at=None))
    assert "PATCH" not in [one.method for one in system.requests[before:]]
    assert org.allowed_duplicates == ["allowSave=true"]


def test_a_task_that_a_person_works_on_keeps_its_day_and_state(salesforce: Open, org: FakeSalesforce) -> None:
    crm = salesforce()
    record_id = put(crm, task())
    org.write("Task", record_id, {"Status": "Completed", "ActivityDate": "2026-12-01", "Priority": "Low"})
    crm.send(delivery(task(body="More is known.", priority="high")), record_id)
    (stored,) = org.all("Task")
    assert "More is known." in stored["Description"]
    assert (stored["Status"], stored["ActivityDate"], stored["Priority"]) == (
        "Completed",
        "2026-12-01",
        "Low",
    )


@pytest.mark.parametrize("action", [contact(), note(), task()], ids=lambda action: action.kind)
def test_what_somebody_deleted_is_gone(salesforce: Open, org: FakeSalesforce, action: DueAction) -> None:
    crm = salesforce()
    record_id = put(crm, action)
    org.delete(record_id)
    with pytest.raises(NotFound):
        crm.send(delivery(action), record_id)


def test_a_number_that_is_none_finds_nobody(salesforce: Open, org: FakeSalesforce) -> None:
    org.person(Phone=None)
    org.person(Phone="withheld")
    assert put(salesforce(), contact("anonymous")) == org.all("Contact")[-1]["Id"]
    assert len(org.all("Contact")) == 3


@with_news
def test_what_is_shown_is_what_goes_out(
    salesforce: Open, org: FakeSalesforce, system: System, row: DueAction, later: DueAction
) -> None:
    crm = salesforce(crm_fields="call_count=Calls__c")
    if row.kind != "contact":
        assert "WhoId" not in (shown := crm.body(delivery(row), None))
        assert not shown.get("associations")
        put(crm, contact())
    record_goes_out(
        crm,
        row,
        later,
        lambda: [one.json() for one in system.requests if one.body and "/sobjects/" in one.path],
    )


def test_what_it_would_write_and_what_is_there(salesforce: Open, org: FakeSalesforce) -> None:
    crm = salesforce()
    assert isinstance(crm, SupportsDiff)
    person_id = org.person(Phone="(202) 555-0143")
    planned, current = (
        crm.planned(delivery(contact()), person_id),
        crm.current(delivery(contact()), person_id),
    )
    assert current is not None
    assert {name for name in planned if planned[name] != current[name]} == {"email"}
    assert crm.current(delivery(contact()), "003000000000999AAA") is None
    record_id = put(crm, note())
    assert crm.planned(delivery(note()), record_id) == crm.current(delivery(note()), record_id)
    assert crm.link("note", record_id) == f"{crm.client.base_url}/{record_id}"
