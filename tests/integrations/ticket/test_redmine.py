"""Tickets in a Redmine that is really running: made once, updated beside people's changes, shown as plain words."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import DestinationUnavailable, Rejected
from integrations.outbox import DueAction
from integrations.ticket.redmine import Redmine
from integrations.ticket.updating import reference
from tests.integrations import examples
from tests.integrations.examples import delivery
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UpdateFaults,
)
from tests.integrations.ticket.redmine_server import Server
from tests.integrations.ticket.suite import TRANSCRIPT, TicketSuite, TicketSystem

CALLS = itertools.count(1)
HOSTILE = (
    '*bold* _it_ "link":http://evil.example !http://evil.example/x.png! <script>alert(1)</script> <b>b</b>\n'
    "{{toc}} {{include(x)}} [[Wiki]] #1 @agent user:agent version:1 http://evil.example www.evil.example\n"
    "-del- +ins+ ^sup^ `code` **b** ~~s~~ [l](http://evil.example) ![i](http://evil.example/i.png) @code@ ??c??\n"
    "h1. heading\n# num\n* item\n- item\n+ item\n1. one\n1) one\n| a | b |\n> quote\nbq. q\np(x). y\n    code\n---\n"
    "===\n==x== %{color:red}r% &amp; &#60; &lt; \\* <pre>x</pre> <notextile>n</notextile> <https://evil.example>\n"
    "~~~\n```\nx"
)
Make = Callable[..., Redmine]


@pytest.fixture
def desk(redmine: Server, tmp_path: Path) -> Iterator[Make]:
    opened = []

    def make(**changes: Any) -> Redmine:
        ours: dict[str, Any] = settings(redmine.url, redmine.keys["aftercall"]) | changes
        opened.append(Redmine(IntegrationSettings(home=tmp_path, **ours)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def settings(url: str, key: str) -> dict[str, Any]:
    return {
        "tickets": "redmine", "redmine_url": url, "redmine_key": key, "http_read_seconds": 60,
        "redmine_projects": "billing=bills,cars=desk/Rental,desk",
    }  # fmt: skip


def due(call: str = "", **payload: Any) -> DueAction:
    return examples.ticket(call or f"redmine-{next(CALLS)}", **payload)


def issue(redmine: Server, number: str) -> dict[str, Any]:
    answer: dict[str, Any] = redmine.ask("GET", f"/issues/{number}.json?include=journals")["issue"]
    return answer


def notes(redmine: Server, number: str) -> list[str]:
    return [one["notes"] for one in issue(redmine, number)["journals"] if one["notes"]]


def test_a_ticket_is_created_where_its_queue_goes(redmine: Server, desk: Make) -> None:
    row = due(description=f"The car did not start.{TRANSCRIPT}", priority="urgent")
    number = desk(redmine_tracker="Support").send(delivery(row), None)
    stored = issue(redmine, number)
    assert (stored["project"]["name"], stored["category"]["name"]) == ("Front desk", "Rental")
    assert (stored["tracker"]["name"], stored["priority"]["name"]) == ("Support", "Urgent")
    assert (stored["subject"], stored["status"]["name"]) == ("Rental car: Ada", "New")
    lines = stored["description"].replace("\r", "").split("\n")
    assert lines[0] == "The car did not start."
    assert "Customer: It is broken." in lines
    assert lines[-1].startswith(reference(row.action_key))
    other = desk().send(delivery(due(queue="billing")), None)
    assert issue(redmine, other)["project"]["name"] == "Bills"
    assert desk().link("ticket", number) == f"{redmine.url}/issues/{number}"


def test_it_is_found_again_by_its_own_key_only(redmine: Server, desk: Make) -> None:
    first, second = due(), due()
    assert desk().find(delivery(first)) is None
    number = desk().send(delivery(first), None)
    redmine.ask("PUT", f"/issues/{number}.json", json={"issue": {"status_id": 5, "project_id": "bills"}})
    assert desk().find(delivery(first)) == number
    # Who quotes a reference has not made the ticket.
    quoting = due(description=f"See {reference(second.action_key)} 0 0")
    desk().send(delivery(quoting), None)
    assert desk().find(delivery(second)) is None


def test_a_resolved_issue_is_not_closed(redmine: Server, desk: Make) -> None:
    row = due()
    number = desk().send(delivery(row), None)
    desk().send(delivery(replace(row, payload={**row.payload, "is_resolved": True})), number)
    assert "A later report says that the issue was resolved" in notes(redmine, number)[0]
    assert issue(redmine, number)["status"]["name"] == "New"
    assert len(redmine.holding(reference(row.action_key))) == 1


def test_what_an_agent_rewrote_stays(redmine: Server, desk: Make) -> None:
    row = due(priority="normal")
    number = desk().send(delivery(row), None)
    theirs = {
        "status_id": 2,
        "priority_id": 1,
        "subject": "Ada's car",
        "description": "Rewritten.",
        "notes": "mine",
    }
    me = redmine.ask("GET", "/users/current.json")["user"]["id"]
    redmine.ask("PUT", f"/issues/{number}.json", by="admin", json={"issue": theirs | {"assigned_to_id": me}})
    for priority in ("high", "urgent"):
        changed_payload = {**row.payload, "priority": priority, "title": "New", "description": priority}
        desk().send(delivery(replace(row, payload=changed_payload)), number)
    after = issue(redmine, number)
    seen = (after["status"]["name"], after["priority"]["name"], after["subject"], after["description"])
    assert seen == ("In Progress", "Low", "Ada's car", "Rewritten.")
    assert after["assigned_to"]["id"] == me
    assert len(notes(redmine, number)) == 3


def test_a_ticket_out_of_reach_does_not_stop_the_others(redmine: Server, desk: Make) -> None:
    row = due()
    number = desk().send(delivery(row), None)
    redmine.ask("PUT", f"/issues/{number}.json", by="admin", json={"issue": {"project_id": "elsewhere"}})
    with pytest.raises(Rejected, match="Redmine answered 403"):
        desk().send(delivery(replace(row, payload={**row.payload, "priority": "high"})), number)
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_REDMINE_KEY"):
        desk(redmine_key="wrong").send(delivery(row), number)


def test_a_link_leads_to_the_call(redmine: Server, desk: Make) -> None:
    row = due()
    number = desk(board_url="https://board.example/x_y").send(delivery(row), None)
    page = redmine.ask("GET", f"/issues/{number}")
    assert f'href="https://board.example/x_y/calls/atoms/{row.call_id}"' in page


def test_what_would_change(redmine: Server, desk: Make) -> None:
    row = due()
    number = desk().send(delivery(row), None)
    fields = {"subject": "Rental car: Ada", "priority": "Normal"}
    assert desk().planned(delivery(row)) == {"project": "desk", "category": "Rental", **fields}
    assert desk().current(delivery(row), number) == desk().planned(delivery(row), number) == fields
    later = delivery(replace(row, payload={**row.payload, "priority": "low"}))
    assert desk().planned(later, number) == {**fields, "priority": "Low"}


@pytest.mark.parametrize("formatting", ["textile", "markdown", "common_mark"])
def test_strangers_words_are_no_markup(redmine: Server, desk: Make, formatting: str) -> None:
    redmine.format(formatting)
    number = desk().send(delivery(due(description=HOSTILE, customer_name="*Eve* @agent #1")), None)
    page = redmine.ask("GET", f"/issues/{number}", by="admin")
    shown = re.search(r'<div class="wiki">(.*?)</div>', page, re.S)
    assert shown
    # CommonMark makes an address out of any e-mail address; that is no harm.
    shown_html = re.sub(r'<a href="mailto:[^"]*" class="email">([^<]*)</a>', r"\1", shown[1])
    assert set(re.findall(r"<[^>]*>", shown_html)) <= {"<p>", "</p>", "<br>", "<br />"}
    read = " ".join(unescape(re.sub(r"<[^>]*>", " ", shown[1])).replace("\u200b", "").split())
    assert " ".join(HOSTILE.split()) in read
    assert "Customer: *Eve* @agent #1 · +12025550143" in read


def test_plain_text_is_sent_as_it_is(redmine: Server, desk: Make) -> None:
    number = desk(redmine_plain_text=True).send(delivery(due(description=HOSTILE)), None)
    assert issue(redmine, number)["description"].replace("\r", "").startswith(HOSTILE)


def test_long_words_fit(redmine: Server, desk: Make) -> None:
    row = due(title="t" * 900, description=f"It broke.\n\nAgent: {'wörd*[' * 40_000}")
    number = desk().send(delivery(row), None)
    assert len(issue(redmine, number)["description"].encode()) <= 62_000
    assert desk().find(delivery(row)) == number


@pytest.mark.parametrize(
    ("changes", "without", "note"),
    [
        ({"redmine_priorities": "urgent=Gone"}, (), "priority (Redmine has no priority"),
        ({"redmine_projects": "desk/Gone"}, ("category",), "category (Redmine"),
        ({"redmine_tracker": "Gone"}, (), "tracker (Redmine"),
        (
            {"redmine_projects": "desk/Gone", "redmine_priorities": "urgent=Gone", "redmine_tracker": "Gone"},
            ("category",), "tracker, category (Redmine has no priority",
        ),
    ],
)  # fmt: skip
def test_what_is_gone_in_redmine_is_left_out_and_named(
    redmine: Server, desk: Make, changes: dict[str, Any], without: tuple[str, ...], note: str
) -> None:
    row = due(priority="urgent")
    number = desk(**changes).send(delivery(row), None)
    stored = issue(redmine, number)
    assert stored["priority"]["name"] == ("Normal" if "redmine_priorities" in changes else "Urgent")
    assert not {*without} & stored.keys()
    assert stored["tracker"]["name"] == "Bug"
    assert f"Left out: {'priority, ' if len(changes) > 1 else ''}{note}" in unescape(
        stored["description"].replace("\u200b", "")
    )
    assert desk(**changes).body(delivery(row), number) is None


def test_its_own_words(redmine: Server, desk: Make) -> None:
    with pytest.raises(
        Rejected, match=r"^Redmine answered 422: Subject is too long \(maximum is 255 characters\)$"
    ):
        desk().client.request(
            "POST", "/issues.json", json={"issue": {"project_id": "desk", "subject": "x" * 300}}
        )


def test_the_check_tells_who_may_not_write(redmine: Server, desk: Make) -> None:
    def permissions_of(login: str, projects: str) -> list[tuple[bool, str]]:
        results = desk(redmine_key=redmine.keys[login], redmine_projects=projects).check()
        return [(one.is_fine, one.message) for one in results if one.name.startswith("permissions")]

    assert permissions_of("reader", "desk") == [
        (False, "the key's user has no edit_issues, add_issue_notes by its roles in project desk")
    ]
    assert permissions_of("aftercall", "desk") == [
        (True, "view_issues, add_issues, edit_issues, add_issue_notes")
    ]
    assert permissions_of("admin", "elsewhere") == [(True, "all, as an administrator")]


def test_the_check_names_what_is_missing(desk: Make) -> None:
    assert [one for one in desk(redmine_tracker="Support").check() if not one.is_fine] == []
    changes = {
        "redmine_projects": "cars=desk/Boats,nowhere",
        "redmine_priorities": "high=Hoch",
        "redmine_tracker": "Task",
    }
    wrong = {one.name: one.message for one in desk(**changes).check() if not one.is_fine}
    assert set(wrong) == {"project desk/Boats", "project nowhere", "permissions in nowhere", "priority Hoch"}
    assert "no 'Task' among its trackers (Bug, Feature, Support)" in wrong["project desk/Boats"]
    assert "Redmine has no priority 'Hoch' but Low, Normal" in wrong["priority Hoch"]
    refused = next(iter(desk(redmine_key="wrong").check()))
    assert (refused.name, refused.is_fine) == ("credentials", False)
    assert "Look at AFTERCALL_REDMINE_KEY" in refused.message


class UnderRedmine(TicketSystem):
    called = "Redmine"
    missing = (
        ({"redmine_url": ""}, "AFTERCALL_REDMINE_URL"),
        ({"redmine_key": ""}, "AFTERCALL_REDMINE_KEY"),
        ({"redmine_projects": ""}, "AFTERCALL_REDMINE_PROJECTS"),
        ({"redmine_projects": "a,b"}, "AFTERCALL_REDMINE_PROJECTS"),
        ({"redmine_priorities": "high="}, "AFTERCALL_REDMINE_PRIORITIES"),
    )
    hung_after: Mapping[str, Any] = {"http_read_seconds": 3}

    def __init__(self, server: Server) -> None:
        self.server, self.url = server, server.url
        host, _, port = server.url.removeprefix("http://").partition(":")
        self.upstream = (host, int(port))

    def title(self, number: str) -> str:
        return str(self.fields(number)["subject"])

    def priority(self, number: str) -> str:
        return str(self.fields(number)["priority"]["name"]).lower()

    def fields(self, number: str) -> dict[str, Any]:
        return issue(self.server, number)

    def text(self, number: str) -> str:
        return "\n".join([self.fields(number)["description"], *notes(self.server, number)])

    def edit(self, number: str) -> dict[str, Any]:
        person = self.server.ask("GET", "/users/current.json")["user"]["id"]
        theirs = {"status_id": 2, "priority_id": 1, "notes": "mine", "assigned_to_id": person}
        self.server.ask("PUT", f"/issues/{number}.json", by="admin", json={"issue": theirs})
        edited = self.fields(number)
        return {name: edited[name] for name in ("status", "priority", "assigned_to", "description")}

    def remove(self, number: str) -> None:
        self.server.ask("DELETE", f"/issues/{number}.json")

    def settings(self, url: str) -> dict[str, Any]:
        # Long enough for a Redmine on a busy machine, short enough to wait for it to hang.
        return settings(url, self.server.keys["aftercall"]) | {
            "http_read_seconds": 2,
            "http_whole_seconds": 20,
        }

    def wrong_credentials(self) -> dict[str, Any]:
        return {"redmine_key": "wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [due(f"fault-{case}", title=f"revision {revision}", description=f"revision {revision}")]

    def count(self, action: DueAction) -> int:
        return len(self.server.holding(reference(action.action_key)))

    def stored_text(self, action: DueAction) -> str:
        return str(self.server.holding(reference(action.action_key)))

    def delete(self, action: DueAction) -> None:
        for row in self.server.holding(reference(action.action_key)):
            self.server.ask("DELETE", f"/issues/{row['id']}.json")


class TestSystem(TicketSuite, FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls, redmine: Server) -> Iterator[UnderRedmine]:
        yield UnderRedmine(redmine)
        all_notes = redmine.notes()
        assert all_notes
        assert len(all_notes) == len(set(all_notes)), "an update was told twice"
