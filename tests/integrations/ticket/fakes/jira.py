"""Jira Cloud as far as tickets go: a search that lags behind, keys that do not, properties, deletion.

A token that is wrong is shown what the whole world may see, as Jira does.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.integrations.servers import Request
from tests.integrations.ticket.fakes.judge import Fake, Reply, Route

EMAIL, TOKEN = "aftercall@example.com", "right-token"


def _refused(status: int, *messages: str, **errors: str) -> Reply:
    return Reply(status, {"errorMessages": messages, "errors": errors})


NOT_FOUND = _refused(404, "Issue does not exist or you do not have permission to see it.")
SCREEN = ("summary", "description", "labels", "priority", "project", "issuetype", "components")
NODES = {"doc", "paragraph", "text", "hardBreak", "bulletList", "listItem", "heading"}


@dataclass
class FakeJira(Fake):
    specs: Sequence[str] = ("jira/openapi.json",)
    paths: str = (
        r"/rest/api/3/(issue|issue/\{issueIdOrKey\}|issue/bulkfetch|search/jql|myself|mypermissions|"
        r"issue/createmeta/\{projectIdOrKey\}/issuetypes(/\{issueTypeId\})?)"
    )
    behind: int = 3
    """So many of the newest issues the search does not know yet, and deleted ones it still lists."""
    projects: dict[str, set[str]] = field(default_factory=lambda: {"SUP": {"Rental"}, "BILL": set()})
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[str, list[Any]] = field(default_factory=dict)
    lacking: set[str] = field(default_factory=set)
    screen: tuple[str, ...] = SCREEN
    is_right: bool = True

    def is_known(self, request: Request) -> Reply | None:
        right = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        self.is_right = request.headers.get("authorization") in (f"Basic {right}", "Bearer oauth-token")
        return None

    def routes(self) -> Sequence[Route]:
        return (
            ("GET", "/rest/api/3/myself", self._myself),
            ("POST", "/rest/api/3/search/jql", self._search),
            ("POST", "/rest/api/3/issue/bulkfetch", self._bulk),
            ("POST", "/rest/api/3/issue", self._create),
            ("GET", "/rest/api/3/mypermissions", self._permissions),
            ("GET", r"/rest/api/3/issue/createmeta/(\w+)/issuetypes", self._types),
            ("GET", r"/rest/api/3/issue/createmeta/(\w+)/issuetypes/(\w+)", self._fields),
            ("GET", r"/rest/api/3/issue/([A-Z]+-\d+)", self._show),
            ("PUT", r"/rest/api/3/issue/([A-Z]+-\d+)", self._edit),
        )

    def labelled(self, label: str) -> list[dict[str, Any]]:
        return [one for one in self.issues.values() if label in one["fields"]["labels"]]

    def _myself(self, _: Request) -> Reply:
        return Reply(200, {"displayName": "aftercall", "accountId": "1"}) if self.is_right else Reply(401, {})

    def _search(self, request: Request) -> Reply:
        content = request.json()
        known = self.created[: max(0, len(self.created) - self.behind)] if self.is_right else []
        if label := re.fullmatch(r'labels = "([\w-]+)" ORDER BY key ASC', content["jql"]):
            known = [one for one in known if label[1] in one["fields"]["labels"]]
        else:
            project = re.fullmatch(r'project = "(\w+)" ORDER BY key DESC', content["jql"])
            assert project, content["jql"]
            known = [one for one in reversed(known) if one["key"].startswith(f"{project[1]}-")]
        return Reply(
            200, {"issues": [_shown(one, content["fields"]) for one in known[: content["maxResults"]]]}
        )

    def _bulk(self, request: Request) -> Reply:
        content = request.json()
        if len(content["issueIdsOrKeys"]) > 100:
            return _refused(400, "at most 100")
        known_issues = [
            self.issues[key] for key in content["issueIdsOrKeys"] if key in self.issues and self.is_right
        ]
        return Reply(
            200, {"issues": [_shown(one, content["fields"]) for one in known_issues], "issueErrors": []}
        )

    def _create(self, request: Request) -> Reply:
        content = request.json()
        if not self.is_right:
            return Reply(
                401, {"errorMessages": ["You do not have permission to create issues."], "errors": {}}
            )
        fields = content["fields"]
        refusal = self._refusal(fields) | self._wrong(fields)
        if refusal:
            return _refused(400, **refusal)
        project = fields["project"]["key"]
        number = sum(one["key"].startswith(f"{project}-") for one in self.created) + 1
        key, identity = f"{project}-{number}", str(10_000 + len(self.created))
        properties = {one["key"]: one["value"] for one in content.get("properties", [])}
        self.issues[key] = {
            "id": identity,
            "key": key,
            "fields": {"components": [], **fields},
            "properties": properties,
        }
        self.created.append(self.issues[key])
        self.comments[key] = []
        return Reply(
            201, {"id": identity, "key": key, "self": f"https://x.atlassian.net/rest/api/3/issue/{identity}"}
        )

    def _show(self, request: Request, key: str) -> Reply:
        if key not in self.issues or not self.is_right:
            return NOT_FOUND
        query = request.query()
        shown = _shown(self.issues[key], query["fields"].split(","))
        stored = self.issues[key]["properties"]
        return Reply(
            200,
            shown
            | {
                "properties": {
                    name: stored[name] for name in query["properties"].split(",") if name in stored
                }
            },
        )

    def _edit(self, request: Request, key: str) -> Reply:
        if key not in self.issues or not self.is_right:
            return NOT_FOUND
        content, issue = request.json(), self.issues[key]
        if "EDIT_ISSUES" in self.lacking:
            return _refused(403, "You do not have permission to edit issues.")
        comments = [one["add"]["body"] for one in content.get("update", {}).get("comment", [])]
        refusal = self._refusal(content["fields"]) | {
            f"comment{at}": "wrong" for at, one in enumerate(comments) if not _fits(one)
        }
        if refusal:
            return _refused(400, **refusal)
        issue["fields"] |= content["fields"]
        issue["properties"] |= {one["key"]: one["value"] for one in content.get("properties", [])}
        self.comments[key] += comments
        return Reply(204)

    def _permissions(self, request: Request) -> Reply:
        query = request.query()
        if query["projectKey"] not in self.projects:
            return _refused(404, f"No project could be found with key '{query['projectKey']}'.")
        names = query["permissions"].split(",")
        return Reply(
            200,
            {"permissions": {one: {"key": one, "havePermission": one not in self.lacking} for one in names}},
        )

    def _types(self, _: Request, project: str) -> Reply:
        if project not in self.projects:
            return _refused(404, "no project")
        return Reply(
            200, {"issueTypes": [{"id": "10", "name": "Task"}, {"id": "11", "name": "Bug"}], "total": 2}
        )

    def _fields(self, _: Request, project: str, number: str) -> Reply:
        shown = [
            {
                "fieldId": one,
                "key": one,
                "name": one,
                "required": False,
                "operations": ["set"],
                "schema": {"type": "string"},
            }
            for one in self.screen
        ]
        return Reply(200, {"fields": shown, "total": len(shown)})

    def _refusal(self, fields: dict[str, Any]) -> dict[str, str]:
        wrong = {name: "Field cannot be set." for name in fields if name not in self.screen}
        summary = fields.get("summary", "x")
        if len(summary.encode("utf-16-le")) > 2 * 255 or "\n" in summary:
            wrong["summary"] = "The summary is invalid because it contains newline characters or is too long."
        if "priority" in fields and fields["priority"]["name"] not in ("Highest", "High", "Medium", "Low"):
            wrong["priority"] = "The priority selected is invalid."
        return wrong

    def _wrong(self, fields: dict[str, Any]) -> dict[str, str]:
        components = self.projects.get(fields["project"]["key"])
        if components is None:
            return {"project": "valid project is required"}
        if not {one["name"] for one in fields.get("components", [])} <= components:
            return {"components": "Component name is not valid"}
        return (
            {}
            if _fits(fields["description"])
            else {"description": "CONTENT_LIMIT_EXCEEDED or not a document"}
        )


def texts(node: dict[str, Any]) -> Iterator[str]:
    """Every text of a document, in order."""
    if node["type"] == "text":
        yield node["text"]
    for inner in node.get("content", []):
        yield from texts(inner)


def _fits(document: dict[str, Any]) -> bool:
    def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for inner in node.get("content", []):
            yield from nodes(inner)

    every = list(nodes(document))
    whole = all(
        one["type"] in NODES and "\n" not in one.get("text", "") and one.get("text") != "" for one in every
    )
    return (
        whole
        and document["type"] == "doc"
        and len(str(document)) <= 32_767 * 2
        and len("".join(texts(document))) <= 32_767
    )


def _shown(issue: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {
        "id": issue["id"],
        "key": issue["key"],
        "fields": {name: issue["fields"].get(name) for name in fields},
    }
