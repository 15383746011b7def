"""Tickets in Jira Cloud.

    AFTERCALL_TICKETS=jira
    AFTERCALL_JIRA_URL=https://NAME.atlassian.net
    AFTERCALL_JIRA_EMAIL=aftercall@example.com
    AFTERCALL_JIRA_TOKEN=…
    AFTERCALL_JIRA_PROJECTS=billing=BILL,cars=SUP/Rental,SUP

Jira's search is seconds to minutes behind what was written (Atlassian, "Search and reconcile"), so a label that can be
searched for is not enough to recognise what was made just before a crash. The newest issues of the projects are
therefore read by their keys, which is never behind: once a pass, as nothing but the pass makes tickets meanwhile.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.destinations import CheckResult, Delivery, Limits, check_result
from integrations.errors import DestinationUnavailable, Rejected, TransientError
from integrations.http import authorization, checked_url
from integrations.optional_parts import WHOLE, Omission, Part
from integrations.rendering import fit
from integrations.rest import RestClient
from integrations.ticket.adf import document
from integrations.ticket.desk import RemoteTicket, TicketDestination
from integrations.ticket.rendering import Ticket
from integrations.ticket.targets import targets
from integrations.ticket.updating import LastWritten, Update, first, read, reference

SETTING = "AFTERCALL_JIRA_TOKEN"
LABEL = PROPERTY = "aftercall"
# The newest issue that the search knows, some before it (it does not learn of them in order) and more after it.
BEFORE, AT_ONCE = 20, 100
LONGEST_SUMMARY = 255
NEEDED = ("BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS")


class JiraSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    jira_url: str = Field("", description="Address of Jira Cloud: https://NAME.atlassian.net.")
    jira_email: str = Field("", description="The account whose API token it is; empty: a bearer token.")
    jira_token: SecretStr = Field(SecretStr(""), description="API token of Jira.")
    jira_projects: str = Field(
        "",
        description="Project of each queue, with its component: billing=BILL,cars=SUP/Rental,SUP; the one alone is "
        "for all others.",
    )
    jira_issue_type: str = Field("Task", description="Issue type of every ticket in Jira.")
    jira_priorities: str = Field(
        "urgent=Highest,high=High,normal=Medium,low=Low",
        description="What our priorities are called in Jira; empty: tickets get no priority.",
    )


def open_destination(settings: IntegrationSettings) -> "Jira":
    """The site that the settings name."""
    return Jira(settings)


class Jira(TicketDestination):
    """A site of Jira Cloud.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "jira"
    # Jira takes 100 POSTs and 50 PUTs a second (Atlassian, "Rate limiting"), and shares them with everybody's apps.
    limits = Limits(concurrency=4, per_second=10.0)

    optional = (
        Part("components", ("components", "component")),
        Part("priority", ("priority",)),
    )

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(JiraSettings)
        self._url = checked_url(own_settings.jira_url, "AFTERCALL_JIRA_URL").rstrip("/")
        self._projects = targets(own_settings.jira_projects, "AFTERCALL_JIRA_PROJECTS")
        self._priorities = targets(own_settings.jira_priorities, "AFTERCALL_JIRA_PRIORITIES")
        self._type = own_settings.jira_issue_type
        self._keys = list(dict.fromkeys(one.partition("/")[0] for one in self._projects.all()))
        if not self._keys or not all(re.fullmatch(r"[A-Za-z]\w*", key, re.ASCII) for key in self._keys):
            raise DestinationUnavailable("set AFTERCALL_JIRA_PROJECTS to keys of projects: billing=BILL,SUP")
        remedy = f"set {SETTING} to an API token, and AFTERCALL_JIRA_EMAIL to whose it is"
        headers = authorization(needed(own_settings.jira_token, remedy), own_settings.jira_email.strip())
        client = RestClient("Jira", settings, self._url, setting=SETTING, headers=headers, words_of=_words)
        super().__init__(client, settings)
        self._newest: dict[str, str] | None = None

    def find(self, delivery: Delivery) -> str | None:
        """The issue with the key's label: among the newest, else by search."""
        if self._newest is None:
            # To a wrong token Jira shows what the whole world may see: nothing would be found.
            self.who()
            self._newest = {label: issue for key in self._keys for label, issue in self._newest_of(key)}
        label = reference(delivery.action_key)
        if label in self._newest:
            return self._newest[label]
        issues = self._search(f'labels = "{label}" ORDER BY key ASC')
        return str(issues[0]["key"]) if issues else None

    def fields(self, ticket: Ticket) -> Mapping[str, str]:
        """Summary and, if it has a name in Jira, priority."""
        priority = self._priorities.of(ticket.priority)
        return {"summary": fit(ticket.title, LONGEST_SUMMARY), **({"priority": priority} if priority else {})}

    def place(self, ticket: Ticket) -> Mapping[str, str]:
        """The queue's project and component; Forbidden if the settings name none."""
        target = self._projects.needed(ticket.queue)
        project, _, component = target.partition("/")
        return {"project": project, **({"components": component} if component else {})}

    def create(self, delivery: Delivery, ticket: Ticket, left_out: Omission) -> str:
        """Make it, with its label and what is kept on it."""
        try:
            answer = self.client.request("POST", "/rest/api/3/issue", json=self.new(ticket, left_out)).json()
            return str(self.client.part(answer, "key"))
        except TransientError:
            # It may be there all the same: whoever looks next reads the newest anew.
            self._newest = None
            raise

    def new(self, ticket: Ticket, left_out: Omission = WHOLE) -> dict[str, Any]:
        """The body that makes it."""
        place, fields = left_out.of(self.place(ticket)), left_out.of(self.fields(ticket))
        values: dict[str, Any] = {
            "project": {"key": place["project"]},
            "issuetype": {"name": self._type},
            "description": document(ticket),
            "labels": [LABEL, reference(ticket.external_key)],
            **_fields(fields),
        }
        if "components" in place:
            values["components"] = [{"name": place["components"]}]
        return {"fields": values, "properties": [_property(ticket.external_key, first(ticket, fields))]}

    def remote(self, external_id: str) -> RemoteTicket:
        """The issue, and what is kept on it."""
        params = {"fields": "summary,priority,project,components", "properties": PROPERTY}
        answer = self.client.request("GET", f"/rest/api/3/issue/{external_id}", params=params).json()
        fields = self.client.part(answer, "fields")
        stored = (answer.get("properties") or {}).get(PROPERTY) or {}
        values = {
            "summary": str(fields.get("summary") or ""),
            "priority": str((fields.get("priority") or {}).get("name") or ""),
            "project": str((fields.get("project") or {}).get("key") or ""),
            "components": ", ".join(str(one.get("name")) for one in fields.get("components") or ()),
        }
        last = read(stored.get("written"))
        return RemoteTicket(values, last, str(stored.get("action_key") or ""))

    def change(self, external_id: str, due: Update, remote: RemoteTicket) -> None:
        """A comment, the fields and what is kept."""
        self.client.change("PUT", f"/rest/api/3/issue/{external_id}", json=self.changes(due, remote))

    def changes(self, due: Update, remote: RemoteTicket) -> dict[str, Any]:
        """The body that writes an update."""
        body: dict[str, Any] = {
            "fields": _fields(due.fields),
            "properties": [_property(remote.version, due.written)],
        }
        if due.comment:
            body["update"] = {"comment": [{"add": {"body": document(due.comment)}}]}
        return body

    def link(self, kind: str, external_id: str) -> str | None:
        """The issue's page."""
        return f"{self._url}/browse/{external_id}"

    def check(self) -> Iterator[CheckResult]:
        """Who the token is, what it may do in each project, and whether the fields are on its screen."""
        yield check_result("credentials", self.who)
        for key in self._keys:
            yield check_result(f"permissions in {key}", self._may, key)
            yield check_result(f"fields of {key}", self._screen, key)

    def who(self) -> str:
        """Whose token it is."""
        answer = self.client.request("GET", "/rest/api/3/myself").json()
        return str(self.client.part(answer, "displayName"))

    def _may(self, key: str) -> str:
        params = {"projectKey": key, "permissions": ",".join(NEEDED)}
        answer = self.client.request("GET", "/rest/api/3/mypermissions", params=params).json()
        given = self.client.part(answer, "permissions")
        missing = [one for one in NEEDED if not (given.get(one) or {}).get("havePermission")]
        if missing:
            raise Rejected(f"the token's user lacks {', '.join(missing)} in project {key}")
        return ", ".join(NEEDED)

    def _screen(self, key: str) -> str:
        path = f"/rest/api/3/issue/createmeta/{key}/issuetypes"
        answer = self.client.request("GET", path).json()
        types = {str(one.get("name")): str(one.get("id")) for one in self.client.listed(answer, "issueTypes")}
        if self._type not in types:
            raise Rejected(f"project {key} has no issue type {self._type!r}; it has {', '.join(types)}")
        answer = self.client.request("GET", f"{path}/{types[self._type]}").json()
        on_screen = {one.get("fieldId") for one in self.client.listed(answer, "fields")}
        wanted = {"summary", "description", "labels"} | ({"priority"} if self._priorities.all() else set())
        if missing := sorted(wanted - on_screen):
            raise Rejected(f"{', '.join(missing)}: not on the screen on which {self._type} is made in {key}")
        return ", ".join(sorted(wanted))

    def _newest_of(self, project: str) -> Iterator[tuple[str, str]]:
        """Labels of ours and their issues, of the newest issues of a project."""
        known = self._search(f'project = "{project}" ORDER BY key DESC')
        newest = _number(known[0]["key"]) if known else 0
        start = max(1, newest - BEFORE)
        while True:
            keys = [f"{project}-{number}" for number in range(start, start + AT_ONCE)]
            body = {"issueIdsOrKeys": keys, "fields": ["labels"]}
            answer = self.client.request("POST", "/rest/api/3/issue/bulkfetch", json=body).json()
            issues = self.client.listed(answer, "issues")
            for issue in issues:
                for label in (issue.get("fields") or {}).get("labels") or ():
                    yield str(label), str(issue["key"])
            last = max((_number(issue["key"]) for issue in issues), default=0)
            if last < start + AT_ONCE // 2:
                return
            start += AT_ONCE

    def _search(self, jql: str) -> list[dict[str, Any]]:
        body = {"jql": jql, "fields": ["labels"], "maxResults": 1}
        answer = self.client.request("POST", "/rest/api/3/search/jql", json=body).json()
        return self.client.listed(answer, "issues")


def _fields(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"name": value} if name == "priority" else value for name, value in values.items()}


def _property(action_key: str, written: LastWritten) -> dict[str, Any]:
    return {"key": PROPERTY, "value": {"action_key": action_key, "written": written.dumped()}}


def _number(key: str) -> int:
    number = str(key).rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _words(error: Mapping[str, Any]) -> str:
    messages = [str(one) for one in error.get("errorMessages") or ()]
    return "; ".join(
        messages + [f"{name}: {message}" for name, message in (error.get("errors") or {}).items()]
    )
