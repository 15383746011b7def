"""Zendesk Support as far as tickets go: external ids, idempotency keys, audits, safe updates, deletion."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.integrations.servers import Request
from tests.integrations.ticket.fakes.judge import Fake, Reply, Route

EMAIL, TOKEN = "aftercall@example.com", "right-token"
BORN = datetime(2026, 11, 2, tzinfo=UTC)
NOT_FOUND = Reply(404, {"error": "RecordNotFound", "description": "Not found"})
HUMAN, OURS = 1, 2


@dataclass
class FakeZendesk(Fake):
    specs: Sequence[str] = ("zendesk/openapi.json",)
    paths: str = (
        r"/api/v2/(tickets|tickets/\{ticket_id\}|tickets/\{ticket_id\}/audits|groups/\{group_id\}|users/\w+"
        r"|custom_roles/\{custom_role_id\})"
    )
    # Described only with a number in the place of `current`.
    undescribed: str = r"/api/v2/oauth/tokens/current"
    role: str = "agent"
    person: dict[str, Any] = field(default_factory=dict)
    may_edit: bool = True
    scopes: tuple[str, ...] = ("read", "write")
    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    audits: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    users: dict[int, dict[str, Any]] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=lambda: {123: "Billing", 456: "Desk"})
    seen: dict[str, tuple[Any, Reply]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: count(10))
    refused_parts: tuple[str, ...] = ()
    """Parts of a ticket, or of a user, that are refused whatever they are."""
    before_update: Any = None
    """Called before an update is taken: what a person does meanwhile."""

    def is_known(self, request: Request) -> Reply | None:
        right = base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") in (f"Basic {right}", "Bearer oauth-token"):
            return None
        return Reply(401, {"error": "Couldn't authenticate you"})

    def routes(self) -> Sequence[Route]:
        return (
            ("GET", "/api/v2/tickets", self._list),
            ("POST", "/api/v2/tickets", self._create),
            ("GET", r"/api/v2/tickets/(\d+)", self._show),
            ("PUT", r"/api/v2/tickets/(\d+)", self._update),
            ("GET", r"/api/v2/tickets/(\d+)/audits", self._audits),
            ("GET", "/api/v2/users/me", self._me),
            ("GET", r"/api/v2/custom_roles/(\d+)", self._role),
            (
                "GET",
                "/api/v2/oauth/tokens/current",
                lambda _: Reply(200, {"token": {"scopes": [*self.scopes]}}),
            ),
            ("GET", "/api/v2/users/search", self._search),
            ("POST", "/api/v2/users/create_or_update", self._user),
            ("GET", r"/api/v2/groups/(\d+)", self._group),
        )

    def of(self, key: str) -> list[dict[str, Any]]:
        return [one for one in self.tickets.values() if one["external_id"] == key]

    def comments(self, number: int) -> list[dict[str, Any]]:
        return [
            event for audit in self.audits[number] for event in audit["events"] if event["type"] == "Comment"
        ]

    def touch(self, number: int, **values: Any) -> None:
        """A person changes a ticket."""
        self._write(number, {"comment": {"body": "mine", "public": True}, **values}, author=HUMAN)

    def _list(self, request: Request) -> Reply:
        return Reply(200, {"tickets": self.of(request.query()["external_id"])})

    def _create(self, request: Request) -> Reply:
        key, content = request.headers.get("idempotency-key", ""), request.json()
        if key in self.seen:
            body, reply = self.seen[key]
            if body == content:
                return Reply(reply.status, reply.value, {"x-idempotency-lookup": "hit"})
            return Reply(
                400, {"error": "IdempotentRequestError", "description": "other parameters than before"}
            )
        ticket = content["ticket"]
        refusal = _refusal(ticket, self.groups) | self._refused(ticket)
        if refusal:
            return _invalid(refusal)
        number = next(self.numbers)
        requester = ticket.get("requester_id") or self._requester(ticket.get("requester"))
        self.tickets[number] = {
            "id": number, "status": "new", "priority": "normal", "requester_id": requester,
            "created_at": _time(0), "tags": ticket.get("tags", []), "external_id": ticket["external_id"],
        }  # fmt: skip
        self.audits[number] = []
        self._write(number, ticket, author=OURS)
        reply = Reply(201, {"ticket": dict(self.tickets[number])})
        self.seen[key] = (content, reply)
        return reply

    def _show(self, _: Request, number: str) -> Reply:
        known_ticket = self.tickets.get(int(number))
        return Reply(200, {"ticket": known_ticket}) if known_ticket else NOT_FOUND

    def _update(self, request: Request, number: str) -> Reply:
        if self.before_update:
            self.before_update()
        ticket, changes = self.tickets.get(int(number)), request.json()["ticket"]
        if ticket is None:
            return NOT_FOUND
        if ticket["status"] == "closed":
            closed = {"status": [{"description": "Status: closed prevents ticket update"}]}
            return Reply(
                422, {"error": "RecordInvalid", "description": "Record validation errors", "details": closed}
            )
        if changes.get("safe_update") and changes.get("updated_stamp") != ticket["updated_at"]:
            return Reply(409, {"error": "UpdateConflict", "description": "Safe Update prevented the update"})
        if refusal := self._refused(changes):
            return _invalid(refusal)
        audit = self._write(int(number), changes, author=OURS)
        return Reply(200, {"ticket": ticket, "audit": audit})

    def _audits(self, request: Request, number: str) -> Reply:
        if int(number) not in self.tickets:
            return NOT_FOUND
        audits, query = self.audits[int(number)], request.query()
        size, page = int(query["per_page"]), int(query["page"])
        shown = audits[(page - 1) * size : page * size]
        more = (
            {"next_page": f"https://desk.zendesk.com/x?page={page + 1}"} if len(audits) > page * size else {}
        )
        return Reply(200, {"audits": shown, "count": len(audits), **more})

    def _me(self, _: Request) -> Reply:
        return Reply(
            200, {"user": {"id": OURS, "name": "aftercall", "role": self.role, "email": EMAIL, **self.person}}
        )

    def _role(self, _: Request, number: str) -> Reply:
        return Reply(
            200,
            {
                "custom_role": {
                    "id": int(number), "name": "Light agent", "role_type": 1, "team_member_count": 1, "description": "",
                    "created_at": "2026-11-02T08:00:00Z", "updated_at": "2026-11-02T08:00:00Z",
                    "configuration": {"ticket_editing": self.may_edit},
                }
            },
        )  # fmt: skip

    def _search(self, request: Request) -> Reply:
        phone = re.fullmatch(r'phone:"(\+\d+)"', request.query()["query"])
        assert phone
        return Reply(200, {"users": [one for one in self.users.values() if one.get("phone") == phone[1]]})

    def _user(self, request: Request) -> Reply:
        fields = request.json()["user"]
        if refusal := self._refused(fields):
            return _invalid(refusal)
        known = [one for one in self.users.values() if one.get("external_id") == fields["external_id"]]
        user = known[0] if known else {"id": next(self.numbers)}
        self.users[user["id"]] = user | fields
        return Reply(200 if known else 201, {"user": self.users[user["id"]]})

    def _group(self, _: Request, number: str) -> Reply:
        name = self.groups.get(int(number))
        return Reply(200, {"group": {"id": int(number), "name": name}}) if name else NOT_FOUND

    def _refused(self, fields: dict[str, Any]) -> dict[str, Any]:
        parts = [name for name in self.refused_parts if name in fields]
        address = (fields.get("requester") or {}).get("email", "")
        if "email" in self.refused_parts and address:
            return {"requester": [{"description": f"Requester: Email: {address} is not properly formatted"}]}
        return {name: [{"description": f"{name.capitalize()}: is invalid"}] for name in parts}

    def _requester(self, wanted: dict[str, str] | None) -> int:
        if wanted is None:
            return OURS
        known = [number for number, one in self.users.items() if one.get("email") == wanted["email"]]
        number = known[0] if known else next(self.numbers)
        self.users[number] = {"id": number, **wanted}
        return number

    def _write(self, number: int, changes: dict[str, Any], author: int) -> dict[str, Any]:
        ticket, audits = self.tickets[number], self.audits[number]
        names = ("subject", "priority", "group_id", "status", "assignee_id", "tags")
        ticket |= {name: changes[name] for name in names if name in changes}
        comment = (
            [{"id": next(self.numbers), "type": "Comment", **changes["comment"]}]
            if "comment" in changes
            else []
        )
        audit = {
            "id": next(self.numbers), "ticket_id": number, "author_id": author, "created_at": _time(len(audits)),
            "events": comment, "metadata": {"custom": changes.get("metadata", {}), "system": {}},
        }  # fmt: skip
        audits.append(audit)
        ticket["updated_at"] = _time(len(audits))
        return audit


def _invalid(details: dict[str, Any]) -> Reply:
    return Reply(
        422, {"error": "RecordInvalid", "description": "Record validation errors", "details": details}
    )


def _refusal(ticket: dict[str, Any], groups: dict[int, str]) -> dict[str, Any]:
    wrong = {}
    if len(ticket["subject"]) > 150:
        wrong["subject"] = [{"description": "Subject: is too long (maximum is 150 characters)"}]
    if len(ticket["comment"]["html_body"].encode()) > 65_536:
        wrong["comment"] = [{"description": "Comment: is too long"}]
    if "group_id" in ticket and ticket["group_id"] not in groups:
        wrong["group"] = [{"description": "Group: is invalid"}]
    if len(str(ticket.get("metadata", ""))) > 1_024:
        wrong["metadata"] = [{"description": "Metadata: is too large"}]
    return wrong


def _time(seconds: int) -> str:
    return f"{BORN + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
