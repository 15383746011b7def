"""Tickets in Zendesk, by a fake whose every word is judged by Zendesk's own description of its API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import Rejected, TransientError
from integrations.outbox import DueAction, Outbox, dispatch
from integrations.ticket.zendesk import Zendesk
from tests.integrations import servers
from tests.integrations.examples import NOW, delivery, ticket
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UpdateFaults,
)
from tests.integrations.servers import System
from tests.integrations.ticket.fakes.zendesk import EMAIL, HUMAN, TOKEN, FakeZendesk
from tests.integrations.ticket.suite import TRANSCRIPT, TicketSuite, TicketSystem, changed

Make = Callable[..., Zendesk]


def settings(url: str) -> dict[str, Any]:
    return {
        "tickets": "zendesk", "zendesk_url": url, "zendesk_email": EMAIL, "zendesk_token": TOKEN,
        "zendesk_groups": "billing=123,456",
    }  # fmt: skip


@pytest.fixture
def zendesk(system: System) -> Iterator[FakeZendesk]:
    system.always = fake = FakeZendesk()
    yield fake
    assert fake.complaints == []


@pytest.fixture
def desk(zendesk: FakeZendesk, system: System, tmp_path: Path) -> Iterator[Make]:
    opened = []

    def make(**changes: Any) -> Zendesk:
        opened.append(Zendesk(IntegrationSettings(home=tmp_path, **(settings(system.url) | changes))))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_ticket(zendesk: FakeZendesk, desk: Make, system: System) -> None:
    row = ticket(description=f"It <b>broke</b>.{TRANSCRIPT}", priority="urgent", queue="Billing")
    number = int(desk().send(delivery(row), None))
    stored = zendesk.tickets[number]
    assert (stored["subject"], stored["priority"], stored["group_id"]) == ("Rental car: Ada", "urgent", 123)
    assert (stored["external_id"], stored["tags"]) == (row.action_key, ["aftercall", "rental_car"])
    assert zendesk.users[stored["requester_id"]] | {"id": 0} == {
        "id": 0,
        "name": "Ada",
        "email": "ada@example.com",
    }
    (comment,) = zendesk.comments(number)
    assert comment["public"] is False
    assert comment["html_body"].startswith("<p>It &lt;b&gt;broke&lt;/b&gt;.</p><ul><li><b>Customer:</b> Ada")
    assert "Agent: Hello?<br>Customer: It is broken." in comment["html_body"]
    assert desk().link("ticket", str(number)) == f"{system.url}/agent/tickets/{number}"


def test_who_called_without_an_address_is_known_by_phone(zendesk: FakeZendesk, desk: Make) -> None:
    for call in ("1", "2"):
        desk().send(delivery(ticket(call, customer_email=None)), None)
    assert len(zendesk.users) == 1
    (caller,) = zendesk.users.values()
    assert (caller["name"], caller["phone"]) == ("Ada", "+12025550143")
    assert {one["requester_id"] for one in zendesk.tickets.values()} == {caller["id"]}
    zendesk.users.clear()
    zendesk.users[7] = {"id": 7, "name": "Ada L.", "phone": "+12025550143"}
    number = desk().send(delivery(ticket("3", customer_email=None)), None)
    assert zendesk.tickets[int(number)]["requester_id"] == 7
    number = desk().send(delivery(ticket("4", customer_email=None, customer_phone='" role:admin')), None)
    assert zendesk.tickets[int(number)]["requester_id"] == 2


def test_placeholders_are_not_filled_in(zendesk: FakeZendesk, desk: Make) -> None:
    number = int(desk().send(delivery(ticket(description="{{ticket.url}} {% x %}", title="{{a}}")), None))
    assert not {"{{", "{%"} & {zendesk.comments(number)[0]["html_body"][at : at + 2] for at in range(60)}
    assert "{{" not in zendesk.tickets[number]["subject"]


def test_long_words_fit(zendesk: FakeZendesk, desk: Make) -> None:
    number = desk().send(
        delivery(ticket(title="t" * 900, description=f"S.\n\nAgent: {'<ö>' * 90_000}")), None
    )
    assert len(zendesk.tickets[int(number)]["subject"]) == 150
    assert len(zendesk.comments(int(number))[0]["html_body"].encode()) > 50_000


def test_news_is_an_internal_comment_and_opens_nothing(zendesk: FakeZendesk, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    desk().send(delivery(changed(row, description="Refunded.", is_resolved=True)), number)
    assert [one["public"] for one in zendesk.comments(int(number))] == [False, False]
    assert zendesk.tickets[int(number)]["status"] == "new"


def test_what_was_written_is_found_among_many_changes(zendesk: FakeZendesk, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    desk().send(delivery(changed(row, description="Later.")), number)
    for _ in range(150):
        zendesk.touch(int(number), status="open")
    desk().send(delivery(changed(row, description="Later.", priority="high")), number)
    assert len(zendesk.comments(int(number))) == 152
    assert zendesk.tickets[int(number)]["priority"] == "high"


def test_a_change_at_the_same_moment_is_not_overwritten(zendesk: FakeZendesk, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    zendesk.before_update = lambda: zendesk.touch(int(number), priority="low")
    with pytest.raises(TransientError, match="Zendesk answered 409: UpdateConflict: Safe Update prevented"):
        desk().send(delivery(changed(row, priority="high")), number)
    assert zendesk.tickets[int(number)]["priority"] == "low"


def test_a_closed_ticket_says_so(zendesk: FakeZendesk, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    zendesk.touch(int(number), status="closed")
    with pytest.raises(Rejected, match="Status: closed prevents ticket update"):
        desk().send(delivery(changed(row, priority="high")), number)


def test_a_slow_create_is_not_repeated(zendesk: FakeZendesk, desk: Make) -> None:
    # The list did not show the first one yet when we looked.
    numbers = {desk().send(delivery(ticket()), None) for _ in range(2)}
    assert len(numbers) == len(zendesk.tickets) == 1


def test_a_link_leads_to_the_call(zendesk: FakeZendesk, desk: Make) -> None:
    body = desk(board_url="https://board.example").body(delivery(ticket()), None)
    address = "https://board.example/calls/atoms/1"
    assert f'<a href="{address}">{address}</a>' in body["ticket"]["comment"]["html_body"]


def test_what_would_change(zendesk: FakeZendesk, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    fields = {"subject": "Rental car: Ada", "priority": "normal"}
    assert desk().planned(delivery(row)) == {"group_id": "456", **fields}
    assert desk().current(delivery(row), number) == fields
    changed_delivery = delivery(changed(row, priority="low", description="It was found."))
    assert desk().planned(changed_delivery, number) == {**fields, "priority": "low", "news": "It was found."}


def test_the_check_names_what_is_missing(zendesk: FakeZendesk, desk: Make) -> None:
    assert [(one.name, one.message) for one in desk().check() if one.is_fine] == [
        ("credentials", "aftercall, agent"), ("may write tickets", "yes"),
        ("group 123", "Billing"), ("group 456", "Desk"),
    ]  # fmt: skip
    zendesk.role = "end-user"
    wrong = {one.name: one.message for one in desk(zendesk_groups="a=123,9").check() if not one.is_fine}
    assert set(wrong) == {"credentials", "group 9"}
    assert "must be an agent or admin. Look at AFTERCALL_ZENDESK_TOKEN" in wrong["credentials"]
    refused = next(iter(desk(zendesk_token="wrong-token").check()))
    assert "Zendesk answered 401: Couldn't authenticate you. Look at" in refused.message


def test_the_check_tells_who_may_not_write(zendesk: FakeZendesk, desk: Make) -> None:
    def may_write(**changes: Any) -> tuple[bool, str]:
        result = next(one for one in desk(**changes).check() if one.name == "may write tickets")
        return result.is_fine, result.message

    oauth = {"zendesk_email": "", "zendesk_token": "oauth-token"}
    assert may_write(**oauth) == (True, "yes")
    zendesk.scopes = ("read",)
    assert may_write(**oauth) == (False, "the token has the scopes read: it needs write too")
    zendesk.person = {"custom_role_id": 5}
    assert may_write() == (True, "yes, as Light agent")
    zendesk.may_edit = False
    assert may_write() == (False, "the user's role Light agent may not edit tickets")
    zendesk.person = {"ticket_restriction": "assigned"}
    assert may_write()[0] is False


def test_its_own_words(zendesk: FakeZendesk, desk: Make) -> None:
    zendesk.refused_parts = ("subject",)
    with pytest.raises(Rejected, match=r"422: RecordInvalid: Record validation errors: Subject: is invalid$"):
        desk().send(delivery(ticket()), None)


@pytest.mark.parametrize(
    ("refused", "changes", "left", "note"),
    [
        ((), {"zendesk_groups": "7"}, {"group_id": None}, "group id (Zendesk answered 422: RecordInvalid"),
        (("priority",), {}, {"priority": "normal"}, "priority (Zendesk answered 422"),
        (("tags",), {}, {"tags": []}, "tags (Zendesk answered 422"),
        (("email",), {}, {}, "address (Zendesk answered 422: RecordInvalid: Record validation errors: Requester"),
        (("email", "phone"), {}, {"requester_id": 2}, "address, requester (Zendesk answered 422"),
        (
            ("email", "phone", "priority", "tags"), {"zendesk_groups": "7"},
            {"requester_id": 2, "group_id": None, "priority": "normal", "tags": []}, "Left out:",
        ),
    ],
)  # fmt: skip
def test_what_zendesk_refuses_of_a_ticket_is_left_out_and_named(
    zendesk: FakeZendesk,
    desk: Make,
    refused: tuple[str, ...],
    changes: dict[str, Any],
    left: dict[str, Any],
    note: str,
) -> None:
    zendesk.refused_parts = refused
    row = ticket(priority="urgent")
    number = int(desk(**changes).send(delivery(row), None))
    stored = zendesk.tickets[number]
    assert {name: stored.get(name) for name in left} == left
    assert note in zendesk.comments(number)[0]["html_body"]
    assert len(zendesk.tickets) == 1
    if refused == ("email",):
        assert zendesk.users[stored["requester_id"]]["phone"] == "+12025550143"
    # What was left out is nobody's change, and no news.
    assert desk(**changes).body(delivery(row), str(number)) is None


@pytest.mark.parametrize(
    "address", ["none", "N/A", "ann dot lee at example dot com", "{{customer_email}}", "a@b.de, c@d.de"]
)
def test_what_is_no_address_is_not_sent_as_one(zendesk: FakeZendesk, desk: Make, address: str) -> None:
    number = desk().send(delivery(ticket(customer_email=address)), None)
    caller = zendesk.users[zendesk.tickets[int(number)]["requester_id"]]
    assert (caller.get("email"), caller["phone"]) == (None, "+12025550143")
    assert "Left out" not in zendesk.comments(int(number))[0]["html_body"]


def test_twelve_refused_requesters_in_a_row_stop_nothing(
    zendesk: FakeZendesk, system: System, outbox: Outbox, tmp_path: Path
) -> None:
    zendesk.refused_parts = ("email",)
    ours = IntegrationSettings(home=tmp_path, **settings(system.url))
    outbox.enqueue([ticket(str(number)) for number in range(12)], NOW, ours)
    while (report := dispatch(outbox, "ticket", ours, now=NOW)).due:
        assert report.sent
    assert (len(zendesk.tickets), outbox.pauses()) == (12, [])
    assert {outbox.action(ticket(str(number)).action_key).status for number in range(12)} == {"sent"}  # type: ignore[union-attr]


def test_an_update_goes_without_the_field_that_zendesk_refuses(zendesk: FakeZendesk, desk: Make) -> None:
    row = ticket()
    number = desk().send(delivery(row), None)
    zendesk.refused_parts = ("priority",)
    later = delivery(changed(row, priority="high", title="Later", description="More."))
    assert desk().send(later, number) == number
    stored, comment = zendesk.tickets[int(number)], zendesk.comments(int(number))[-1]["html_body"]
    assert (stored["priority"], stored["subject"]) == ("normal", "Later")
    assert "priority (Zendesk answered 422" in comment
    # With nothing new but the field that is refused there is nothing to write.
    assert desk().send(later, number) == number
    assert len(zendesk.comments(int(number))) == 2
    zendesk.refused_parts = ()
    desk().send(later, number)
    assert zendesk.tickets[int(number)]["priority"] == "high"


class UnderZendesk(TicketSystem):
    called = "Zendesk"
    missing = (
        ({"zendesk_url": "desk"}, "AFTERCALL_ZENDESK_URL"),
        ({"zendesk_token": ""}, "AFTERCALL_ZENDESK_TOKEN"),
        ({"zendesk_groups": "billing"}, "AFTERCALL_ZENDESK_GROUPS"),
    )

    def __init__(self, system: System) -> None:
        self.upstream, self.url = system.address, system.url
        system.always = self.fake = FakeZendesk()

    def title(self, number: str) -> str:
        return str(self.fields(number)["subject"])

    def priority(self, number: str) -> str:
        return str(self.fields(number)["priority"])

    def fields(self, number: str) -> dict[str, Any]:
        return self.fake.tickets[int(number)]

    def text(self, number: str) -> str:
        return "\n".join(one.get("html_body") or one["body"] for one in self.fake.comments(int(number)))

    def edit(self, number: str) -> dict[str, Any]:
        theirs = {
            "priority": "low",
            "status": "pending",
            "assignee_id": HUMAN,
            "tags": ["vip"],
            "group_id": 123,
        }
        self.fake.touch(int(number), **theirs)
        return theirs

    def remove(self, number: str) -> None:
        del self.fake.tickets[int(number)]

    def settings(self, url: str) -> dict[str, Any]:
        return settings(url)

    def wrong_credentials(self) -> dict[str, Any]:
        return {"zendesk_token": "wrong-token"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        # Without an address, so that the requester has to be looked for too.
        return [
            ticket(case, title=f"revision {revision}", customer_email=None, customer_phone=f"+4930{case:0>5}")
        ]

    def count(self, action: DueAction) -> int:
        return len(self.fake.of(action.action_key))

    def stored_text(self, action: DueAction) -> str:
        return str(self.fake.of(action.action_key))

    def delete(self, action: DueAction) -> None:
        for one in self.fake.of(action.action_key):
            del self.fake.tickets[one["id"]]


class TestSystem(TicketSuite, FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderZendesk]:
        with servers.running() as system:
            under = UnderZendesk(system)
            yield under
            assert under.fake.complaints == []
            callers = [one["phone"] for one in under.fake.users.values() if "phone" in one]
            assert len(callers) == len(set(callers))
            for number in under.fake.tickets:
                comments_written = [
                    one.get("html_body") or one["body"] for one in under.fake.comments(number)
                ]
                assert len(comments_written) == len(set(comments_written)), "an update was told twice"
