"""Parties, notes and tasks in a Tryton that runs."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from integrations.config import IntegrationSettings
from integrations.crm.tryton import ATTEMPTS, CodeTaken, TrytonCrm
from integrations.destinations import Linked, SupportsCheck, SupportsDiff
from integrations.errors import DestinationUnavailable, NotFound, Rejected
from integrations.outbox import Outbox, dispatch
from tests.integrations import servers
from tests.integrations.crm.suite import opening, put
from tests.integrations.crm.tryton_server import Office
from tests.integrations.examples import (
    NOW,
    contact,
    delivery,
    note,
    record_goes_out,
    task,
    written_by,
)

Open = Callable[..., TrytonCrm]
_NUMBERS = count(2_000_000)


@pytest.fixture
def phone() -> str:
    """A number that nobody has yet."""
    return f"+1212{next(_NUMBERS)}"


@pytest.fixture
def make_tryton(office: Office, tmp_path: Path) -> Callable[..., IntegrationSettings]:
    def make(**changes: Any) -> IntegrationSettings:
        ours = {
            "crm": "tryton",
            "tryton_url": f"http://127.0.0.1:{office.port}/crm",
            "tryton_key": office.key,
        }
        return IntegrationSettings(home=tmp_path, **(ours | changes))

    return make


@pytest.fixture
def tryton(make_tryton: Callable[..., IntegrationSettings]) -> Iterator[Open]:
    with opening(TrytonCrm, make_tryton) as make:
        yield make


def test_a_contact_a_note_and_a_task_through_the_outbox(
    office: Office, make_tryton: Callable[..., IntegrationSettings], outbox: Outbox, phone: str
) -> None:
    rows = [
        contact(phone),
        note("n1", phone, body="She <b>booked</b>, 100% \\_ sure.\nTwice."),
        task("n1", phone),
    ]
    outbox.enqueue(rows, NOW, make_tryton())
    assert dispatch(outbox, "crm", make_tryton(), now=NOW).sent == 3
    (party,) = office.parties(phone)
    assert party["name"] == "Ada"
    assert {one["value"] for one in party["contact_mechanisms"]} >= {"ada@example.com"}
    (note_row,) = office.marked("ir.note", "message", "note:atoms:n1")
    assert note_row["resource"] == f"party.party,{party['id']}"
    assert "She <b>booked</b>, 100% \\_ sure.\nTwice." in note_row["message"]
    (due,) = office.marked("project.work", "comment", "task:atoms:n1")
    assert due["party"] == party["id"]
    assert "Due: 2026-11-03" in due["comment"]


@pytest.mark.parametrize("kind", ["contact", "note", "task"])
def test_what_was_created_is_found_again(tryton: Open, phone: str, kind: str) -> None:
    action = {"contact": contact(phone), "note": note(phone, phone), "task": task(phone, phone)}[kind]
    record_id = put(tryton(), action)
    assert tryton().find(delivery(action)) == record_id
    assert put(tryton(), action) == record_id


@pytest.mark.parametrize(
    ("words", "times", "is_created"),
    [
        ("The code on party must be unique.", 1, True),
        ("Der Code für eine Partei kann nur einmal vergeben werden.", 3, True),
        ("Le code du tiers doit être unique.", ATTEMPTS, False),
    ],
)
def test_a_code_that_another_took_at_the_moment_is_asked_for_again(
    office: Office, tryton: Open, phone: str, words: str, times: int, is_created: bool
) -> None:
    refused = 0

    def between(request: servers.Request) -> servers.Answer:
        nonlocal refused
        if request.method == "POST" and "/party.party?" in request.path and refused < times:
            refused += 1
            return servers.says(400, {"status": 400, "message": words, "description": ""})
        answer = requests.request(
            request.method,
            f"http://127.0.0.1:{office.port}{request.path}",
            data=request.body,
            headers={"Authorization": request.headers["authorization"], "Content-Type": "application/json"},
            timeout=30,
        )
        return servers.says(answer.status_code, answer.content, {"Content-Type": "application/json"})

    with servers.running() as system:
        system.always = between
        crm = tryton(tryton_url=f"{system.url}/crm")
        if not is_created:
            with pytest.raises(CodeTaken, match="unique"):
                put(crm, contact(phone))
            assert office.parties(phone) == []
            return
        record_id = put(crm, contact(phone))
    (party,) = office.parties(phone)
    assert str(party["id"]) == record_id
    # It was not refused for its address, which stays.
    assert {one["value"] for one in party["contact_mechanisms"]} >= {"ada@example.com"}


def test_what_tryton_takes_for_no_address_is_left_out(office: Office, tryton: Open, phone: str) -> None:
    put(tryton(), contact(phone, email="ada@-example-.com"))
    (party,) = office.parties(phone)
    assert (party["name"], len(party["contact_mechanisms"])) in (("Ada", 1), ("Ada", 2))


def test_keys_that_look_like_patterns_find_only_themselves(tryton: Open, phone: str) -> None:
    odd, other = note(f"{phone}_%\\", phone), note(f"{phone}xyz", phone)
    put(tryton(), other)
    assert tryton().find(delivery(odd)) is None
    record_id = put(tryton(), odd)
    assert tryton().find(delivery(odd)) == record_id


@pytest.mark.parametrize(
    "written", ["(212) 200-01{}", "212.200.01{}", "+1 212 200 01{}", "2122 0001{}", "0012122000 1{}"]
)
def test_a_number_is_known_in_whatever_spelling(
    office: Office, tryton: Open, written: str, request: pytest.FixtureRequest
) -> None:
    last = f"{10 + request.node.callspec.indices['written']}"
    party_id = office.party("Grace", ("other", written.format(last)))
    assert put(tryton(), contact(f"+1212200{'01' + last}")) == party_id
    assert office.ask("GET", f"party.party/{party_id}", f="name")["name"] == "Grace"


def test_two_with_one_number_do_not_become_three_and_the_oldest_counts(
    office: Office, tryton: Open, phone: str
) -> None:
    extension = office.party("Front desk", ("other", f"{phone} ext. 7"))
    oldest = office.party("Oldest", ("phone", phone))
    office.party("Newer", ("mobile", phone))
    assert put(tryton(), contact(phone)) == oldest
    assert extension < oldest
    assert len(office.parties(phone)) == 2


def test_who_has_the_address_and_no_number_gets_the_number(office: Office, tryton: Open, phone: str) -> None:
    mail = f"{phone[1:]}@example.com"
    known = office.party("Grace", ("email", mail.upper()))
    assert put(tryton(), contact(phone, email=mail)) == known
    (party,) = office.parties(phone)
    assert (str(party["id"]), party["name"]) == (known, "Grace")
    other = put(tryton(), contact(f"+1312{phone[5:]}", email=mail))
    assert other != known


def test_what_a_person_wrote_stays_and_what_is_empty_is_filled(
    office: Office, tryton: Open, phone: str
) -> None:
    record_id = put(tryton(), contact(phone, name=None, email=None))
    assert office.parties(phone)[0]["name"].startswith("+1 212")
    put(tryton(), contact(phone, name="Ada", email=None))
    assert office.parties(phone)[0]["name"] == "Ada"
    office.ask("PUT", f"party.party/{record_id}", {"name": "Ada, Countess"})
    assert put(tryton(), contact(phone, name="Ada B.", email="ada@example.com")) == record_id
    (party,) = office.parties(phone)
    assert party["name"] == "Ada, Countess"
    assert [one["value"] for one in party["contact_mechanisms"] if one["type"] == "email"] == [
        "ada@example.com"
    ]


def test_a_note_is_replaced_and_a_task_changed(office: Office, tryton: Open, phone: str) -> None:
    crm, first = tryton(), note(phone, phone)
    record_id = put(crm, first)
    assert crm.send(delivery(first), record_id) == record_id
    again = crm.send(delivery(note(phone, phone, body="More is known.")), record_id)
    (left,) = office.marked("ir.note", "message", first.action_key)
    assert (str(left["id"]), "More is known." in left["message"]) == (again, True)
    work = put(crm, task(phone, phone))
    assert crm.send(delivery(task(phone, phone, body="Hurry.")), work) == work
    assert "Hurry." in office.marked("project.work", "comment", task(phone).action_key)[0]["comment"]


def test_a_party_that_was_replaced_or_put_away(office: Office, tryton: Open, phone: str) -> None:
    crm = tryton()
    old = put(crm, contact(phone))
    other = office.party("Ada")
    office.replace(old, other)
    assert crm.send(delivery(contact(phone, call_count=2)), old) == other
    assert [str(one["id"]) for one in office.parties(phone)] == [other]
    office.ask("PUT", f"party.party/{other}", {"active": False})
    with pytest.raises(NotFound):
        crm.send(delivery(contact(phone)), other)


def test_a_note_whose_contact_is_gone_goes_to_the_callers(office: Office, tryton: Open, phone: str) -> None:
    crm = tryton()
    own_note = note(phone, phone)
    record_id = crm.send(delivery(own_note), None)
    (party,) = office.parties(phone)
    assert office.ask("GET", f"ir.note/{record_id}", f="resource")["resource"] == f"party.party,{party['id']}"
    assert crm.find(delivery(contact(phone))) == str(party["id"])


def test_a_number_that_its_country_does_not_give_out(office: Office, tryton: Open) -> None:
    record_id = put(tryton(), contact("+19995550143"))
    assert put(tryton(), contact("+19995550143")) == record_id
    assert put(tryton(), contact("911")) == put(tryton(), contact("911")) != record_id


def test_what_is_shown_is_what_goes_out(
    office: Office, tryton: Open, phone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = tryton()
    assert "resource" not in crm.body(delivery(note("s1", phone)), None)
    written = written_by(crm.client, monkeypatch)
    for row, later in (
        (contact(phone, email=None), contact(phone, email="new@shop.de")),
        (note("s1", phone), note("s1", phone, body="More.")), (task("s1", phone), task("s1", phone, body="More.")),
    ):  # fmt: skip
        record_goes_out(crm, row, later, lambda: written)


def test_what_it_would_write_and_what_is_there(office: Office, tryton: Open, phone: str) -> None:
    crm = tryton()
    assert isinstance(crm, SupportsDiff)
    assert crm.planned(delivery(contact(phone)))["name"] == "Ada"
    record_id = put(crm, contact(phone, name="Grace", email=None))
    planned, current = (
        crm.planned(delivery(contact(phone)), record_id),
        crm.current(delivery(contact(phone)), record_id),
    )
    assert current is not None
    assert {name for name in planned if planned[name] != current[name]} == {"email"}
    assert crm.current(delivery(contact(phone)), "999999") is None


def test_a_check_names_what_is_missing(tryton: Open) -> None:
    crm = tryton(crm_fields="call_count=code_digit")
    assert isinstance(crm, SupportsCheck)
    assert all(one.is_fine for one in crm.check())
    wrong = {
        one.name: one for one in tryton(tryton_company=99, crm_fields="is_vip=vip").check() if not one.is_fine
    }
    assert set(wrong) == {"company", "field vip"}
    assert "AFTERCALL_TRYTON_COMPANY" in wrong["company"].message
    assert all("AFTERCALL_TRYTON_KEY" in one.message for one in list(tryton(tryton_key="wrong").check())[:3])


def test_a_check_names_the_rights_that_are_missing(office: Office, tryton: Open, phone: str) -> None:
    crm = tryton(tryton_key=office.clerk())
    wrong = {one.name: one.message for one in crm.check() if not one.is_fine}
    assert set(wrong) == {"may write tasks"}, wrong
    refusal = "user may not create project.work, write project.work: put it into a group that may"
    assert refusal in wrong["may write tasks"]
    put(crm, note("clerk", phone))
    with pytest.raises(Rejected, match="not allowed to access"):
        put(crm, task("clerk", phone))


@pytest.mark.parametrize(
    "changes",
    [
        {"tryton_key": ""},
        {"tryton_url": ""},
        {"crm_fields": "phone=x"},
        {"crm_fields": "call_count"},
        {"phone_region": "Germany"},
    ],
)
def test_missing_settings_stop_the_channel(tryton: Open, changes: dict[str, Any]) -> None:
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_"):
        tryton(**changes)


def test_a_database_or_module_that_is_not_there_stops_the_channel(office: Office, tryton: Open) -> None:
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_TRYTON_URL"):
        put(tryton(tryton_url=f"http://127.0.0.1:{office.port}/nothing"), contact())
    with pytest.raises(DestinationUnavailable, match=r"knows no sale\.sale: activate"):
        tryton().client.search("sale.sale", [], ["id"])
    with pytest.raises(Rejected, match="User in companies"):
        put(tryton(tryton_company=99), task("c99"))


def test_links(tryton: Open) -> None:
    crm = tryton(tryton_web_url="https://tryton.example.com/")
    assert isinstance(crm, Linked)
    assert crm.link("contact", "7") == "https://tryton.example.com/#crm/model/party.party/7"
    assert tryton().link("contact", "7") is None
