"""Tickets in Jira, by a fake that Atlassian's own description judges, and whose search lags behind."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import DestinationUnavailable, Forbidden, NotFound, Rejected
from integrations.outbox import DueAction
from integrations.ticket.jira import Jira
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
from tests.integrations.ticket.fakes.jira import EMAIL, SCREEN, TOKEN, FakeJira, texts
from tests.integrations.ticket.suite import TRANSCRIPT, TicketSuite, TicketSystem, changed

Make = Callable[..., Jira]


def settings(url: str) -> dict[str, Any]:
    return {
        "tickets": "jira", "jira_url": url, "jira_email": EMAIL, "jira_token": TOKEN,
        "jira_projects": "billing=BILL,cars=SUP/Rental,SUP",
    }  # fmt: skip


@pytest.fixture
def jira(system: System) -> Iterator[FakeJira]:
    system.always = fake = FakeJira()
    yield fake
    assert fake.complaints == []


@pytest.fixture
def desk(jira: FakeJira, system: System, tmp_path: Path) -> Iterator[Make]:
    opened = []

    def make(**changes: Any) -> Jira:
        opened.append(Jira(IntegrationSettings(home=tmp_path, **(settings(system.url) | changes))))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_ticket(jira: FakeJira, desk: Make, system: System) -> None:
    row = ticket(description=f"It broke.\n\n[l|http://evil.example] *b*{TRANSCRIPT}", priority="urgent")
    key = desk().send(delivery(row), None)
    stored = jira.issues[key]["fields"]
    assert (key, stored["summary"], stored["priority"]) == ("SUP-1", "Rental car: Ada", {"name": "Highest"})
    assert stored["components"] == [{"name": "Rental"}]
    assert stored["labels"] == ["aftercall", reference(row.action_key)]
    lines = list(texts(stored["description"]))
    assert lines[:2] == ["It broke.", "[l|http://evil.example] *b*"]
    assert lines[-3:] == ["Transcript", "Agent: Hello?", "Customer: It is broken."]
    assert "link" not in json.dumps(stored["description"])
    assert jira.issues[key]["properties"]["aftercall"]["action_key"] == row.action_key
    assert desk().send(delivery(ticket("2", queue="billing")), None) == "BILL-1"
    assert desk().link("ticket", key) == f"{system.url}/browse/{key}"


@pytest.mark.parametrize("behind", [0, 1, 70])
def test_it_is_found_again_however_far_the_search_is_behind(jira: FakeJira, desk: Make, behind: int) -> None:
    rows = [ticket(str(number), queue="other") for number in range(70)]
    keys = [desk().send(delivery(row), None) for row in rows]
    jira.behind = behind
    for row, key in list(zip(rows, keys, strict=True))[:: 69 if behind else 23]:
        assert desk().find(delivery(row)) == key
    assert desk().find(delivery(ticket("70"))) is None


def test_the_newest_are_read_once_a_pass(jira: FakeJira, desk: Make, system: System) -> None:
    target = desk()
    for number in range(5):
        assert target.find(delivery(ticket(str(number)))) is None
    assert sum(one.path.endswith("bulkfetch") for one in system.requests) == len(jira.projects)


def test_a_ticket_out_of_reach_does_not_stop_the_others(jira: FakeJira, desk: Make) -> None:
    row = ticket()
    key = desk().send(delivery(row), None)
    jira.lacking = {"EDIT_ISSUES"}
    with pytest.raises(Rejected, match="403: You do not have permission to edit issues"):
        desk().send(delivery(changed(row, title="New")), key)


def test_a_wrong_token_is_noticed_though_jira_shows_what_all_may_see(jira: FakeJira, desk: Make) -> None:
    row = ticket()
    key = desk().send(delivery(row), None)
    with pytest.raises(DestinationUnavailable, match=r"Jira answered 401.*AFTERCALL_JIRA_TOKEN"):
        desk(jira_token="wrong-token").find(delivery(row))
    with pytest.raises(NotFound):
        desk(jira_token="wrong-token").send(delivery(changed(row, title="New")), key)


def test_long_words_fit(jira: FakeJira, desk: Make) -> None:
    speech = "\n".join(f"{'Agent' if n % 2 else 'Customer'}: {'<ö>' * 9} {n}" for n in range(4_000))
    key = desk().send(delivery(ticket(title="t" * 900, description=f"S.\n\n{speech}")), None)
    stored = jira.issues[key]["fields"]
    assert len(stored["summary"]) == 255
    assert len("".join(texts(stored["description"]))) > 10_000
    assert list(texts(stored["description"]))[-1].endswith("…")


def test_a_link_leads_to_the_call(jira: FakeJira, desk: Make) -> None:
    opened = desk(board_url="https://board.example")
    opened.send(delivery(ticket()), None)
    href = "https://board.example/calls/atoms/1"
    node = {"type": "text", "text": href, "marks": [{"type": "link", "attrs": {"href": href}}]}
    assert str(node) in str(opened.body(delivery(ticket()), None))


def test_what_would_change(jira: FakeJira, desk: Make) -> None:
    row = ticket()
    key = desk().send(delivery(row), None)
    fields = {"summary": "Rental car: Ada", "priority": "Medium"}
    assert desk().planned(delivery(row)) == {"project": "SUP", "components": "Rental", **fields}
    assert desk().current(delivery(row), key) == fields
    assert desk().planned(delivery(changed(row, priority="low")), key) == {**fields, "priority": "Low"}


def test_the_check_names_what_is_missing(jira: FakeJira, desk: Make) -> None:
    assert [one.message for one in desk().check() if not one.is_fine] == []
    jira.lacking, jira.screen = {"CREATE_ISSUES"}, ("summary", "description")
    wrong = {one.name: one.message for one in desk(jira_projects="SUP,x=NO").check() if not one.is_fine}
    assert set(wrong) == {"permissions in SUP", "fields of SUP", "permissions in NO", "fields of NO"}
    assert wrong["permissions in SUP"] == "the token's user lacks CREATE_ISSUES in project SUP"
    assert wrong["fields of SUP"] == "labels, priority: not on the screen on which Task is made in SUP"
    assert "No project could be found" in wrong["permissions in NO"]
    types = {one.name: one.message for one in desk(jira_issue_type="Ticket").check()}
    assert types["fields of SUP"] == "project SUP has no issue type 'Ticket'; it has Task, Bug"
    assert "401" in next(iter(desk(jira_token="wrong-token").check())).message


@pytest.mark.parametrize(
    ("changes", "screen", "note"),
    [
        ({"jira_projects": "SUP/Gone"}, SCREEN, "components (Jira answered 400: components: Component name is not"),
        ({"jira_priorities": "urgent=P1"}, SCREEN, "priority (Jira answered 400: priority: The priority selected"),
        ({}, ("summary", "description", "labels", "project", "issuetype"), "priority (Jira answered 400: priority: F"),
        ({"jira_projects": "SUP/Gone", "jira_priorities": "urgent=P1"}, SCREEN, "components, priority (Jira answered"),
    ],
)  # fmt: skip
def test_what_jira_refuses_of_a_ticket_is_left_out_and_named(
    jira: FakeJira, desk: Make, changes: dict[str, Any], screen: tuple[str, ...], note: str
) -> None:
    jira.screen = screen
    row = ticket(priority="urgent")
    key = desk(**changes).send(delivery(row), None)
    stored = jira.issues[key]["fields"]
    assert not ("Gone" in str(changes) and stored.get("components"))
    assert ("priority" in stored) == ("priority" not in note.partition(" (")[0])
    assert note in " ".join(texts(stored["description"]))
    assert len(jira.issues) == 1
    assert desk(**changes).body(delivery(row), key) is None


def test_a_title_of_pictures_fits_into_jiras_units(jira: FakeJira, desk: Make) -> None:
    key = desk().send(delivery(ticket(title="👩" * 255)), None)
    assert jira.issues[key]["fields"]["summary"] == "👩" * 127 + "…"


def test_its_own_words(jira: FakeJira, desk: Make) -> None:
    with pytest.raises(Rejected, match=r"^Jira answered 400: project: valid project is required$"):
        desk(jira_projects="NO").send(delivery(ticket()), None)
    with pytest.raises(Forbidden, match="AFTERCALL_JIRA_PROJECTS says nothing for 'cars'"):
        desk(jira_projects="billing=BILL").send(delivery(ticket()), None)


class UnderJira(TicketSystem):
    called = "Jira"
    missing = (
        ({"jira_url": ""}, "AFTERCALL_JIRA_URL"),
        ({"jira_token": ""}, "AFTERCALL_JIRA_TOKEN"),
        ({"jira_projects": ""}, "AFTERCALL_JIRA_PROJECTS"),
        ({"jira_projects": 'SUP" OR 1'}, "AFTERCALL_JIRA_PROJECTS"),
    )

    def __init__(self, system: System) -> None:
        self.upstream, self.url = system.address, system.url
        system.always = self.fake = FakeJira()

    def title(self, number: str) -> str:
        return str(self.fields(number)["summary"])

    def priority(self, number: str) -> str:
        return str(self.fields(number)["priority"]["name"]).lower()

    def fields(self, number: str) -> dict[str, Any]:
        fields: dict[str, Any] = self.fake.issues[number]["fields"]
        return fields

    def text(self, number: str) -> str:
        documents = [self.fields(number)["description"], *self.fake.comments.get(number, [])]
        return "\n".join(words for document in documents for words in texts(document))

    def edit(self, number: str) -> dict[str, Any]:
        theirs = {
            "priority": {"name": "Low"}, "labels": ["mine"], "components": [], "assignee": {"accountId": "7"},
        }  # fmt: skip
        self.fake.issues[number]["fields"] |= theirs
        return theirs

    def remove(self, number: str) -> None:
        del self.fake.issues[number]

    def settings(self, url: str) -> dict[str, Any]:
        return settings(url) | {"jira_projects": "SUP"}

    def wrong_credentials(self) -> dict[str, Any]:
        return {"jira_token": "wrong-token"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        news = f"revision {revision}"
        return [ticket(case, title=news, description=news)]

    def count(self, action: DueAction) -> int:
        return len(self.fake.labelled(reference(action.action_key)))

    def stored_text(self, action: DueAction) -> str:
        return str(self.fake.labelled(reference(action.action_key)))

    def delete(self, action: DueAction) -> None:
        for one in self.fake.labelled(reference(action.action_key)):
            del self.fake.issues[one["key"]]


class TestSystem(TicketSuite, FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderJira]:
        with servers.running() as system:
            under = UnderJira(system)
            yield under
            assert under.fake.complaints == []
            for comments in under.fake.comments.values():
                comments_written = [json.dumps(one) for one in comments]
                assert len(comments_written) == len(set(comments_written)), "an update was told twice"
