"""Contacts, notes and tasks in a HubSpot whose requests and answers HubSpot's own descriptions judge."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.crm.hubspot import HubSpotCrm
from integrations.destinations import Linked, SupportsCheck, SupportsDiff
from integrations.errors import DestinationUnavailable, NotFound, Rejected
from integrations.outbox import DueAction, Outbox, dispatch
from tests.integrations.crm.hubspot_fake import TOKEN, FakeHubSpot
from tests.integrations.crm.suite import opening, put
from tests.integrations.examples import NOW, contact, delivery, note, record_goes_out, task, with_news
from tests.integrations.servers import System

PHONE = "+12025550143"
Open = Callable[..., HubSpotCrm]


@pytest.fixture
def portal(system: System) -> Iterator[FakeHubSpot]:
    system.requests.clear()
    system.always = fake = FakeHubSpot()
    yield fake
    assert fake.complaints == []


@pytest.fixture
def hubspot(system: System, portal: FakeHubSpot, tmp_path: Path) -> Iterator[Open]:
    with opening(HubSpotCrm, partial(settings, system.url, tmp_path)) as make:
        yield make


def settings(url: str, home: Path, **changes: Any) -> IntegrationSettings:
    ours = {"crm": "hubspot", "hubspot_token": TOKEN, "hubspot_api_url": url}
    return IntegrationSettings(home=home, **(ours | changes))


def test_a_contact_a_note_and_a_task_through_the_outbox(
    system: System, portal: FakeHubSpot, outbox: Outbox, tmp_path: Path
) -> None:
    ours = settings(system.url, tmp_path)
    hostile = "<script>alert(1)</script> & <b>\nTwice."
    rows = [
        contact(name="Ada King Lovelace"), note(body=hostile, started_at="2026-11-02T07:55:00Z"),
        task(priority="high", body=hostile),
    ]  # fmt: skip
    outbox.enqueue(rows, NOW, ours)
    assert dispatch(outbox, "crm", ours, now=NOW).sent == 3
    (person,) = portal.of("contacts", f"contact:{PHONE}")
    (note_id,), (due,) = portal.of("notes", "note:atoms:1"), portal.of("tasks", "task:atoms:1")
    values = portal.properties_of(person)
    assert (values["firstname"], values["lastname"], values["phone"]) == ("Ada King", "Lovelace", PHONE)
    assert portal.objects[note_id]["contacts"] == portal.objects[due]["contacts"] == [person]
    body = portal.properties_of(note_id)["hs_note_body"]
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;<br>Twice.</p>" in body
    assert portal.properties_of(note_id)["hs_timestamp"] == "2026-11-02T07:55:00Z"
    values = portal.properties_of(due)
    assert (values["hs_timestamp"], values["hs_task_priority"]) == ("2026-11-03T12:00:00Z", "HIGH")
    assert "<script>" not in values["hs_task_body"]


@pytest.mark.parametrize("answer", [400, 404])
def test_the_property_is_created_when_it_is_first_needed(
    hubspot: Open, portal: FakeHubSpot, answer: int
) -> None:
    portal.unknown_property = answer
    person_id = portal.person(phone="(202) 555-0143")
    for action in (contact(), note(), task()):
        hubspot().planned(delivery(action), hubspot().find(delivery(action)))
    assert portal.unique_properties == set()
    for action in (contact(), note(), task()):
        record_id = put(hubspot(), action)
        assert hubspot().find(delivery(action)) == record_id
    assert portal.of("contacts", f"contact:{PHONE}") == [person_id]
    assert portal.unique_properties == {
        (objects, "aftercall_key") for objects in ("contacts", "notes", "tasks")
    }


@pytest.mark.parametrize("action", [contact(), note(), task()], ids=lambda action: action.kind)
def test_what_was_created_is_found_although_the_search_is_behind(hubspot: Open, action: DueAction) -> None:
    record_id = put(hubspot(), action)
    assert hubspot().find(delivery(action)) == record_id
    assert put(hubspot(), action) == record_id


@pytest.mark.parametrize(
    "written", ["(202) 555-0143", "202.555.0143", "+1 202 555 0143", "2025550143 ext. 9", PHONE]
)
@pytest.mark.parametrize("name", ["phone", "mobilephone"])
def test_a_number_is_known_in_whatever_spelling(
    hubspot: Open, portal: FakeHubSpot, written: str, name: str
) -> None:
    person_id = portal.person(firstname="Grace", **{name: written})
    assert put(hubspot(), contact()) == person_id
    assert (portal.properties_of(person_id)["firstname"], portal.properties_of(person_id)[name]) == (
        "Grace",
        written,
    )


def test_two_with_one_number_do_not_become_three_and_the_oldest_counts(
    hubspot: Open, portal: FakeHubSpot
) -> None:
    portal.person(phone="(202) 555-0143 ext 1", lastname="Front desk")
    oldest = portal.person(phone="(202) 555-0143")
    portal.person(mobilephone=PHONE)
    portal.person(phone="+442025550143", lastname="Elsewhere, though the digits are the same")
    assert put(hubspot(), contact()) == oldest
    assert put(hubspot(), contact(call_count=2)) == oldest
    assert len(portal.objects) == 4


def test_who_has_the_address_and_no_number_gets_the_number(hubspot: Open, portal: FakeHubSpot) -> None:
    known = portal.person(email="ada@example.com", firstname="Grace")
    assert put(hubspot(), contact()) == known
    assert (portal.properties_of(known)["phone"], portal.properties_of(known)["firstname"]) == (
        PHONE,
        "Grace",
    )


@pytest.mark.parametrize("known_as", ["email", "hs_additional_emails"])
def test_a_contact_that_the_search_does_not_know_yet_is_the_one_that_hubspot_names(
    hubspot: Open, portal: FakeHubSpot, known_as: str
) -> None:
    # Made a second ago, say by a form.
    addresses = {"email": "ada@example.com"} if known_as == "email" else {
        "email": "lovelace@example.com", "hs_additional_emails": "x@example.com;ada@example.com",
    }  # fmt: skip
    known = portal.person(**addresses)
    portal.objects[known]["is_indexed"] = False
    crm = hubspot()
    assert put(crm, contact()) == known
    (only,) = [one for one in portal.objects.values() if one["kind"] == "contacts"]
    assert only["properties"] == {
        **addresses, "phone": PHONE, "firstname": "Ada", "aftercall_key": f"contact:{PHONE}",
    }  # fmt: skip
    # The next call, and what hangs on the contact, go there too.
    assert put(crm, contact(call_count=2)) == known
    assert portal.objects[put(crm, note())]["contacts"] == [known]


def test_two_calls_at_once_from_who_is_there_without_a_number_make_no_second_contact(
    hubspot: Open, portal: FakeHubSpot
) -> None:
    known = portal.person(email="ada@example.com")
    portal.objects[known]["is_indexed"] = False
    both = [hubspot(), hubspot()]
    looked = [crm.find(delivery(contact())) for crm in both]
    assert looked == [None, None]
    assert [crm.send(delivery(contact()), None) for crm in both] == [known, known]
    assert len(portal.objects) == 1


@pytest.mark.parametrize(
    ("refused", "words", "left"),
    [
        ("email", "Not valid: [{error: INVALID_EMAIL, name: email}]", {"firstname", "phone", "calls"}),
        ("firstname", "Not valid: [{name: firstname}]", {"email", "phone", "calls"}),
        ("calls", "Property calls does not exist", {"email", "firstname", "phone"}),
        ("email", "Nope.", {"firstname", "phone", "calls"}),
        ("firstname", "Nope.", {"phone"}),
    ],
)
def test_what_hubspot_refuses_of_a_contact_is_left_out(
    hubspot: Open, portal: FakeHubSpot, refused: str, words: str, left: set[str]
) -> None:
    portal.plain.add(("contacts", "calls"))
    portal.refused = {refused: words}
    record_id = put(hubspot(crm_fields="call_count=calls"), contact(name="Ada"))
    assert portal.properties_of(record_id).keys() - {"aftercall_key"} == left


def test_a_task_goes_without_a_priority_that_is_gone(hubspot: Open, portal: FakeHubSpot) -> None:
    portal.refused = {"hs_task_priority": "hs_task_priority was not one of the allowed options"}
    record_id = put(hubspot(), task(priority="high"))
    assert "hs_task_priority" not in portal.properties_of(record_id)
    assert (
        "Left out: hs task priority (HubSpot answered 400" in portal.properties_of(record_id)["hs_task_body"]
    )


def test_a_number_that_only_a_call_claims_changes_no_contact_that_is_there(
    hubspot: Open, portal: FakeHubSpot, system: System
) -> None:
    portal.plain.add(("contacts", "vip"))
    crm = hubspot(crm_fields="is_vip=vip")
    claimed: dict[str, Any] = {"is_phone_verified": False, "is_vip": True}
    known = portal.person(phone=PHONE, firstname="Ada")
    before = dict(portal.properties_of(known))
    assert put(crm, contact(name="Mallory", email="mallory@example.com", **claimed)) == known
    assert portal.properties_of(known) == before
    row = delivery(contact(name="Mallory", email="mallory@example.com", **claimed))
    assert crm.body(row, known) is None
    assert crm.planned(row, known) == crm.current(row, known)
    # Where HubSpot names who has the address, that one is left as it is too.
    other = portal.person(email="eve@example.com")
    portal.objects[other]["is_indexed"] = False
    assert put(crm, contact("+12025550199", email="eve@example.com", **claimed)) == other
    assert portal.properties_of(other) == {"email": "eve@example.com"}
    # Who is not there yet is made, and a call by telephone fills in and changes.
    record_id = put(crm, contact("+12025550198", email=None, **claimed))
    assert portal.properties_of(record_id)["phone"] == "+12025550198"
    put(crm, contact(name="Ada", email="ada@example.com", is_vip=True))
    assert (portal.properties_of(known)["email"], portal.properties_of(known)["vip"]) == (
        "ada@example.com",
        "true",
    )


def test_an_address_that_another_has_is_left_out(hubspot: Open, portal: FakeHubSpot) -> None:
    other = portal.person(email="ada@example.com", phone="+493012345678")
    record_id = put(hubspot(), contact())
    assert record_id != other
    assert "email" not in portal.properties_of(record_id)
    assert put(hubspot(), contact(call_count=2)) == record_id


def test_what_a_person_wrote_stays_and_what_is_empty_is_filled(hubspot: Open, portal: FakeHubSpot) -> None:
    portal.plain.add(("contacts", "calls"))
    crm = hubspot(crm_fields="call_count=calls")
    record_id = put(crm, contact(name=None, email=None))
    portal.properties_of(record_id)["lastname"] = "Countess"
    put(crm, contact(name="Ada King", email="ada@example.com", call_count=2))
    values = portal.properties_of(record_id)
    assert values == {
        "lastname": "Countess", "email": "ada@example.com", "phone": PHONE, "calls": "2",
        "aftercall_key": f"contact:{PHONE}",
    }  # fmt: skip


def test_an_update_that_changes_nothing_writes_nothing(
    hubspot: Open, portal: FakeHubSpot, system: System
) -> None:
    crm = hubspot()
    record_id = put(crm, contact())
    crm.send(delivery(contact(call_count=7)), record_id)
    assert "PATCH" not in [request.method for request in system.requests]


def test_a_task_that_a_person_works_on_keeps_its_day_and_state(hubspot: Open, portal: FakeHubSpot) -> None:
    crm = hubspot()
    record_id = put(crm, task())
    portal.properties_of(record_id).update(
        hs_task_status="COMPLETED", hs_timestamp="2026-12-01T09:00:00Z", hs_task_priority="LOW"
    )
    crm.send(delivery(task(body="More is known.", priority="high")), record_id)
    values = portal.properties_of(record_id)
    assert "More is known." in values["hs_task_body"]
    assert (values["hs_task_status"], values["hs_timestamp"][:10], values["hs_task_priority"]) == (
        "COMPLETED", "2026-12-01", "LOW",
    )  # fmt: skip


def test_contacts_that_were_merged_are_followed(hubspot: Open, portal: FakeHubSpot) -> None:
    crm = hubspot()
    old = put(crm, contact())
    new = portal.merge(portal.person(phone="+493012345678"), old)
    assert crm.send(delivery(contact(email="new@example.com")), old) == new
    one = delivery(note())
    record_id = crm.send(type(one)(**(vars(one) | {"contact_id": old})), None)
    assert portal.objects[record_id]["contacts"] == [new]


@pytest.mark.parametrize("action", [contact(), note(), task()], ids=lambda action: action.kind)
def test_what_somebody_deleted_is_gone(hubspot: Open, portal: FakeHubSpot, action: DueAction) -> None:
    crm = hubspot()
    record_id = put(crm, action)
    del portal.objects[record_id]
    with pytest.raises(NotFound):
        crm.send(delivery(action), record_id)


def test_two_at_once_make_one(hubspot: Open, portal: FakeHubSpot) -> None:
    crm = hubspot()
    assert crm.find(delivery(note())) is None
    first = put(hubspot(), note())
    assert crm.send(delivery(note()), None) == first


@with_news
def test_what_is_shown_is_what_goes_out(
    hubspot: Open, portal: FakeHubSpot, system: System, row: DueAction, later: DueAction
) -> None:
    crm = hubspot(crm_fields="call_count=calls")
    if row.kind != "contact":
        assert "WhoId" not in (shown := crm.body(delivery(row), None))
        assert not shown.get("associations")
        put(crm, contact())
    writes = ("POST", "PATCH")
    record_goes_out(crm, row, later, lambda: [one.json() for one in system.requests if one.method in writes])


def test_what_it_would_write_and_what_is_there(hubspot: Open, portal: FakeHubSpot) -> None:
    crm = hubspot()
    assert isinstance(crm, SupportsDiff)
    assert crm.planned(delivery(contact()))["name"] == "Ada"
    person_id = portal.person(phone="(202) 555-0143", lastname="Hopper")
    planned, current = (
        crm.planned(delivery(contact()), person_id),
        crm.current(delivery(contact()), person_id),
    )
    assert current is not None
    assert {name for name in planned if planned[name] != current[name]} == {"email", "aftercall_key"}
    assert crm.current(delivery(contact()), "1") is None


def test_a_check_names_what_is_missing(hubspot: Open, portal: FakeHubSpot) -> None:
    crm = hubspot(crm_fields="is_vip=vip")
    assert isinstance(crm, SupportsCheck)
    portal.scopes.remove("crm.schemas.contacts.write")
    portal.plain.add(("tasks", "aftercall_key"))
    wrong = {one.name: one.message for one in crm.check() if not one.is_fine}
    assert set(wrong) == {"scopes", "property aftercall_key of tasks", "property vip"}
    assert "crm.schemas.contacts.write" in wrong["scopes"]
    assert portal.unique_properties == set()
    assert all(
        "AFTERCALL_HUBSPOT_TOKEN" in one.message for one in list(hubspot(hubspot_token="no").check())[:3]
    )


def test_a_key_that_need_not_be_unique_stops_the_channel(hubspot: Open, portal: FakeHubSpot) -> None:
    portal.plain.add(("contacts", "aftercall_key"))
    with pytest.raises(DestinationUnavailable, match="need not be unique"):
        put(hubspot(), contact())


def test_the_vendors_own_words(hubspot: Open, portal: FakeHubSpot) -> None:
    portal.refused = {"phone": "Property values were not valid: phone"}
    with pytest.raises(Rejected, match=r"VALIDATION_ERROR: Property values were not valid: phone"):
        put(hubspot(), contact())


def test_links_lead_to_the_contact(hubspot: Open) -> None:
    crm = hubspot(hubspot_portal="7")
    assert isinstance(crm, Linked)
    assert crm.link("contact", "5") == "https://app.hubspot.com/contacts/7/record/0-1/5"
    assert crm.link("note", "5") is None
    assert hubspot().link("contact", "5") is None
