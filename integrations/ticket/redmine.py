"""Tickets in Redmine.

    AFTERCALL_TICKETS=redmine
    AFTERCALL_REDMINE_URL=https://redmine.example.com
    AFTERCALL_REDMINE_KEY=…
    AFTERCALL_REDMINE_PROJECTS=billing=bills,cars=desk/Rental,desk

Nothing has to be set up in Redmine: the last line of what aftercall writes is a reference that its issue list finds.
The key should be that of a user of aftercall's own, since what another user changed is not changed back.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.destinations import CheckResult, Delivery, Limits, check_result
from integrations.errors import DestinationUnavailable, Rejected
from integrations.http import checked_url
from integrations.optional_parts import WHOLE, Omission, Part
from integrations.rendering import fit
from integrations.rest import RestClient
from integrations.ticket.desk import RemoteTicket, TicketDestination
from integrations.ticket.redmine_text import written_text
from integrations.ticket.rendering import Ticket
from integrations.ticket.targets import targets
from integrations.ticket.updating import LastWritten, Update, first, reference, seen

SETTING = "AFTERCALL_REDMINE_KEY"
_REFERENCE = re.compile(r"(aftercall-[0-9a-f]{20}) ([0-9a-f]{20}) ([0-9a-f]{20})\s*\Z")
NEEDED = ("view_issues", "add_issues", "edit_issues", "add_issue_notes")
LONGEST_SUBJECT = 255
_ABSENT_TEXT = "aftercall-looks-for-nothing"
# Our fields by the names that Redmine's history has for them.
_HISTORY = {"subject": "subject", "priority": "priority_id"}


class RedmineSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    redmine_url: str = Field("", description="Address of Redmine.")
    redmine_key: SecretStr = Field(SecretStr(""), description="API key of aftercall's own user in Redmine.")
    redmine_projects: str = Field(
        "",
        description="Project of each queue, by identifier, with its category: billing=bills,cars=desk/Rental,desk; "
        "the one alone is for all others.",
    )
    redmine_tracker: str = Field("", description="Tracker of every ticket; default: the project's first.")
    redmine_priorities: str = Field(
        "urgent=Urgent,high=High,normal=Normal,low=Low",
        description="What our priorities are called in Redmine.",
    )
    redmine_plain_text: bool = Field(
        False, description="1: Redmine's text formatting is `none`, so that nothing needs to be escaped."
    )


def open_destination(settings: IntegrationSettings) -> "Redmine":
    """The Redmine that the settings name."""
    return Redmine(settings)


class Redmine(TicketDestination):
    """A Redmine, 5.0 or later.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "redmine"
    # Redmine sets no limit; the threads of its server do, and people need them too (Puma's default is five).
    limits = Limits(concurrency=2)

    # Redmine refuses in the language of the key's user: often no name is in it.
    optional = (
        Part("priority", ("priority",)),
        Part("category", ("category",)),
        Part("tracker", ("tracker",)),
    )

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(RedmineSettings)
        self._url = checked_url(own_settings.redmine_url, "AFTERCALL_REDMINE_URL").rstrip("/")
        remedy = f"set {SETTING} to an API key; Redmine shows it on the user's own page"
        headers = {"X-Redmine-API-Key": needed(own_settings.redmine_key, remedy)}
        self._projects = targets(own_settings.redmine_projects, "AFTERCALL_REDMINE_PROJECTS")
        if not self._projects.all():
            raise DestinationUnavailable(
                "set AFTERCALL_REDMINE_PROJECTS to identifiers of projects: billing=bills,desk"
            )
        self._priorities = targets(own_settings.redmine_priorities, "AFTERCALL_REDMINE_PRIORITIES")
        self._tracker, self._is_plain = own_settings.redmine_tracker.strip(), own_settings.redmine_plain_text

        client = RestClient("Redmine", settings, self._url, setting=SETTING, headers=headers, words_of=_words)
        super().__init__(client, settings)
        self._priority_ids: dict[str, int] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._me: int | None = None

    def find(self, delivery: Delivery) -> str | None:
        """The oldest issue that ends with the action's reference, in whatever project and state."""
        wanted = reference(delivery.action_key)
        issues, numbers = self._with_text(wanted), []
        for issue in issues:
            ending = _REFERENCE.search(str(issue.get("description") or ""))
            if ending and ending[1] == wanted:
                numbers.append(int(issue["id"]))
        return str(min(numbers)) if numbers else None

    def who(self) -> str:
        """The user whose key it is."""
        user = self.client.part(self.client.request("GET", "/users/current.json").json(), "user")
        self._me = int(self.client.part(user, "id"))
        return f"{user.get('login') or user['id']}"

    def fields(self, ticket: Ticket) -> Mapping[str, str]:
        """Subject and, if it has a name in Redmine, priority."""
        priority = self._priorities.of(ticket.priority)
        return {"subject": fit(ticket.title, LONGEST_SUBJECT), **({"priority": priority} if priority else {})}

    def place(self, ticket: Ticket) -> Mapping[str, str]:
        """The queue's project and category; Forbidden if the settings name none."""
        project, _, category = self._projects.needed(ticket.queue).partition("/")
        return {"project": project, **({"category": category} if category else {})}

    def create(self, delivery: Delivery, ticket: Ticket, left_out: Omission) -> str:
        """Make it, with the reference below its text."""
        answer = self.client.request("POST", "/issues.json", json=self.new(ticket, left_out)).json()
        return str(self.client.part(answer, "issue", "id"))

    def new(self, ticket: Ticket, left_out: Omission = WHOLE) -> dict[str, Any]:
        """The body that makes it; Rejected, naming the part, if Redmine has no such priority, category or tracker."""
        place, fields = left_out.of(self.place(ticket)), left_out.of(self.fields(ticket))
        project = place["project"]
        values: dict[str, Any] = {
            "project_id": project,
            **self._ids(fields),
            "description": self._text(ticket, first(ticket, fields)),
        }
        if self._tracker and "tracker" not in left_out:
            values["tracker_id"] = self._named(project, "trackers", self._tracker)
        if "category" in place:
            values["category_id"] = self._named(project, "issue_categories", place["category"])
        return {"issue": values}

    def remote(self, external_id: str) -> RemoteTicket:
        """The issue and its history."""
        params = {"include": "journals"}
        answer = self.client.request("GET", f"/issues/{external_id}.json", params=params).json()
        issue = self.client.part(answer, "issue")
        values = {
            "subject": str(issue.get("subject") or ""),
            "priority": str((issue.get("priority") or {}).get("name") or ""),
            "project": str((issue.get("project") or {}).get("id") or ""),
            "category": str((issue.get("category") or {}).get("name") or ""),
        }
        return RemoteTicket(values, self._written(issue, values))

    def change(self, external_id: str, due: Update, remote: RemoteTicket) -> None:
        """A note and the fields."""
        self.client.change("PUT", f"/issues/{external_id}.json", json=self.changes(due, remote))

    def changes(self, due: Update, remote: RemoteTicket) -> dict[str, Any]:
        """The body that writes an update."""
        values = self._ids(due.fields) | (
            {"notes": self._text(due.comment, due.written)} if due.comment else {}
        )
        return {"issue": values}

    def link(self, kind: str, external_id: str) -> str | None:
        """The issue's page."""
        return f"{self._url}/issues/{external_id}"

    def check(self) -> Iterator[CheckResult]:
        """Whose key it is, what its roles may do, whether the list finds texts, and whether what is named exists."""
        yield check_result("credentials", self.who)
        yield check_result("issues can be found by their text", self._texts_are_searched)
        for target in self._projects.all():
            yield check_result(f"project {target}", self._project, target)
        for project in dict.fromkeys(target.partition("/")[0] for target in self._projects.all()):
            yield check_result(f"permissions in {project}", self._may, project)
        for priority in self._priorities.all():
            yield check_result(f"priority {priority}", self._priority_id, priority)

    def _may(self, project: str) -> str:
        params = {"include": "memberships"}
        answer = self.client.request("GET", "/users/current.json", params=params).json()
        user, own_id = self.client.part(answer, "user"), self._about(project).get("id")
        if user.get("admin"):
            return "all, as an administrator"
        memberships = self.client.listed(user, "memberships")
        roles = [
            role
            for one in memberships
            if (one.get("project") or {}).get("id") == own_id
            for role in one["roles"]
        ]
        given = {name for role in roles for name in self._given(role["id"])}
        if missing := [name for name in NEEDED if name not in given]:
            what = f"has no {', '.join(missing)} by its roles" if roles else "is no member"
            raise Rejected(f"the key's user {what} in project {project}")
        return ", ".join(NEEDED)

    def _given(self, role: int) -> list[str]:
        answer = self.client.request("GET", f"/roles/{role}.json").json()
        return [str(name) for name in self.client.part(answer, "role", "permissions")]

    def _texts_are_searched(self) -> str:
        self._with_text(_ABSENT_TEXT)
        return "yes"

    def _project(self, target: str) -> str:
        project, _, category = target.partition("/")
        if self._tracker:
            self._named(project, "trackers", self._tracker)
        if category:
            self._named(project, "issue_categories", category)
        return str(self._about(project).get("name"))

    def _with_text(self, text: str) -> list[dict[str, Any]]:
        params = {"status_id": "*", "description": f"~{text}", "sort": "id", "limit": "10"}
        issues = self.client.listed(
            self.client.request("GET", "/issues.json", params=params).json(), "issues"
        )
        if any(text not in str(issue.get("description") or "") for issue in issues):
            raise DestinationUnavailable(
                "this Redmine does not look into descriptions: it must be 5.0 or later"
            )
        return issues

    def _written(self, issue: Mapping[str, Any], values: Mapping[str, str]) -> LastWritten | None:
        """What we wrote last, by its reference; a field that anybody else ever changed is theirs."""
        if self._me is None:
            self.who()
        history = [one for one in issue.get("journals") or () if isinstance(one, dict)]
        others = [one for one in history if (one.get("user") or {}).get("id") != self._me]
        theirs = {detail.get("name") for one in others for detail in one.get("details") or ()}
        texts = [issue.get("description"), *(one.get("notes") for one in history if one not in others)]
        endings = [ending for text in texts if (ending := _REFERENCE.search(str(text or "")))]
        if not endings:
            return None
        ours = {name: values[name] for name, known in _HISTORY.items() if known not in theirs}
        return seen(endings[-1][2], endings[-1][3], ours)

    def _text(self, ticket: Ticket, written: LastWritten) -> str:
        ending = f"{reference(ticket.external_key)} {written.text} {written.transcript}"
        return written_text(ticket, ending, is_plain=self._is_plain)

    def _ids(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Fields as Redmine takes them: a priority by its number."""
        values: dict[str, Any] = dict(fields)
        if "priority" in values:
            values["priority_id"] = self._priority_id(values.pop("priority"))
        return values

    def _priority_id(self, name: str) -> int:
        if not self._priority_ids:
            answer = self.client.request("GET", "/enumerations/issue_priorities.json").json()
            listed = self.client.listed(answer, "issue_priorities")
            self._priority_ids = {str(one.get("name")): int(one["id"]) for one in listed}
        if name not in self._priority_ids:
            names = ", ".join(self._priority_ids)
            raise Rejected(
                f"Redmine has no priority {name!r} but {names}. Look at AFTERCALL_REDMINE_PRIORITIES"
            )
        return self._priority_ids[name]

    def _named(self, project: str, kind: str, name: str) -> int:
        ids = {str(one.get("name")): int(one["id"]) for one in self.client.listed(self._about(project), kind)}
        if name not in ids:
            raise Rejected(
                f"Redmine's project {project} has no {name!r} among its {kind} ({', '.join(ids)}). Look at "
                "AFTERCALL_REDMINE_PROJECTS and AFTERCALL_REDMINE_TRACKER",
                details={"trackers": "tracker", "issue_categories": "category"}[kind],
            )
        return ids[name]

    def _about(self, project: str) -> dict[str, Any]:
        if project not in self._known:
            params = {"include": "trackers,issue_categories"}
            answer = self.client.request("GET", f"/projects/{project}.json", params=params).json()
            self._known[project] = self.client.part(answer, "project")
        return self._known[project]


def _words(error: Mapping[str, Any]) -> str:
    return "; ".join(str(one) for one in error.get("errors") or ())
