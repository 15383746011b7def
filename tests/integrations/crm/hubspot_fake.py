"""HubSpot as far as contacts, notes and tasks go: unique properties, a search that is behind, merging, archiving."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import unquote

import phonenumbers

from tests.integrations.servers import Request
from tests.integrations.ticket.fakes.judge import Fake, Reply, Route

TOKEN = "pat-eu1-right"
BORN = datetime(2026, 11, 2, tzinfo=UTC)
SCOPES = [f"crm.{what}.contacts.{how}" for what in ("objects", "schemas") for how in ("read", "write")]
_KINDS = "(contacts|notes|tasks)"
_OURS = "aftercall_key"


def _error(status: int, category: str, message: str) -> Reply:
    content = {"status": "error", "category": category, "message": message}
    return Reply(status, {**content, "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"})


NOT_FOUND = _error(404, "OBJECT_NOT_FOUND", "Object not found.")


@dataclass
class FakeHubSpot(Fake):
    specs: Sequence[str] = tuple(f"hubspot/{kind}-v3.json" for kind in ("contacts", "notes", "tasks"))
    paths: str = r"/crm/v3/objects/\w+(/search|/\{\w+\})?"
    undescribed: str = r"/crm/v3/properties/.*|/oauth/.*"
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id: kind, properties, contacts, and whether the search knows it yet."""
    merged: dict[str, str] = field(default_factory=dict)
    unique_properties: set[tuple[str, str]] = field(default_factory=set)
    """Kind and name of properties that were made."""
    plain: set[tuple[str, str]] = field(default_factory=set)
    """Those whose values need not be unique."""
    refused: dict[str, str] = field(default_factory=dict)
    """Properties that are refused whatever their value, and in which words."""
    unknown_property: int = 400
    """How a look by a property is answered that is not there, or not unique."""
    numbers: Any = field(default_factory=lambda: count(100))

    def is_known(self, request: Request) -> Reply | None:
        if request.headers.get("authorization") == f"Bearer {TOKEN}":
            return None
        return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")

    def routes(self) -> Sequence[Route]:
        return (
            ("GET", f"/crm/v3/objects/{_KINDS}", self._list),
            ("POST", f"/crm/v3/objects/{_KINDS}", self._create),
            ("POST", f"/crm/v3/objects/{_KINDS}/search", self._search),
            ("GET", f"/crm/v3/objects/{_KINDS}/([^/]+)", self._get),
            ("PATCH", f"/crm/v3/objects/{_KINDS}/([^/]+)", self._update),
            ("GET", f"/crm/v3/properties/{_KINDS}/(\\w+)", self._property),
            ("POST", f"/crm/v3/properties/{_KINDS}", self._make_property),
            ("POST", "/oauth/v2/private-apps/get/access-token-info", self._token),
        )

    def person(self, **properties: str) -> str:
        """A contact that people made some time ago."""
        return self._add("contacts", properties, [], is_indexed=True)

    def of(self, kind: str, key: str) -> list[str]:
        return [
            i
            for i, one in self.objects.items()
            if one["kind"] == kind and one["properties"].get(_OURS) == key
        ]

    def properties_of(self, identity: str) -> dict[str, str]:
        properties: dict[str, str] = self.objects[identity]["properties"]
        return properties

    def merge(self, primary: str, other: str) -> str:
        """As since 2025: both become part of a new record, which both ids lead to."""
        properties = {**self.objects.pop(other)["properties"], **self.objects.pop(primary)["properties"]}
        new = self._add("contacts", properties, [], is_indexed=True)
        self.merged |= {primary: new, other: new}
        return new

    def _add(
        self, kind: str, properties: dict[str, str], contacts: list[str], is_indexed: bool = False
    ) -> str:
        number = next(self.numbers)
        time = f"{BORN + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S.000Z}"
        self.objects[str(number)] = {
            "kind": kind, "properties": dict(properties), "contacts": contacts, "time": time, "is_indexed": is_indexed,
        }  # fmt: skip
        return str(number)

    def _list(self, _: Request, kind: str) -> Reply:
        return Reply(
            200, {"results": [self._shown(i) for i, one in self.objects.items() if one["kind"] == kind][:1]}
        )

    def _create(self, request: Request, kind: str) -> Reply:
        body = request.json()
        properties, contacts = body["properties"], [one["to"]["id"] for one in body["associations"]]
        if kind != "contacts" and not (properties.get("hs_timestamp") and contacts):
            return _error(400, "VALIDATION_ERROR", "Property hs_timestamp and a contact are wanted")
        if any(self.objects.get(one, {}).get("kind") != "contacts" for one in contacts):
            return _error(400, "VALIDATION_ERROR", "associations are not valid")
        refused = self._refused(kind, properties)
        return refused or Reply(201, self._shown(self._add(kind, properties, contacts)))

    def _search(self, request: Request, _: str) -> Reply:
        body = request.json()
        groups = [{one["propertyName"]: one["value"] for one in g["filters"]} for g in body["filterGroups"]]
        assert len(groups) <= 5
        matches = [
            identity for identity, one in self.objects.items()
            if one["kind"] == "contacts" and one["is_indexed"]
            and any(all(_searchable(one["properties"]).get(n) == v for n, v in group.items()) for group in groups)
        ]  # fmt: skip
        assert body["sorts"] == ["createdate"]
        return Reply(
            200, {"total": len(matches), "results": [self._shown(one) for one in matches[: body["limit"]]]}
        )

    def _get(self, request: Request, kind: str, identity: str) -> Reply:
        by = request.query().get("idProperty")
        match = self._known(kind, unquote(identity), by)
        if by == _OURS and (kind, by) not in self.unique_properties:
            return _error(self.unknown_property, "VALIDATION_ERROR", f"Property {by} does not exist")
        return Reply(200, self._shown(match)) if match else NOT_FOUND

    def _update(self, request: Request, kind: str, identity: str) -> Reply:
        if self.objects.get(identity, {}).get("kind") != kind:
            return NOT_FOUND
        properties = request.json()["properties"]
        refused = self._refused(kind, properties, identity)
        if refused is None:
            self.objects[identity]["properties"] |= properties
        return refused or Reply(200, self._shown(identity))

    def _property(self, _: Request, kind: str, name: str) -> Reply:
        if (kind, name) in self.unique_properties | self.plain:
            return Reply(200, {"name": name, "hasUniqueValue": (kind, name) in self.unique_properties})
        if name in ("phone", "hs_note_body", "hs_task_body"):
            return Reply(200, {"name": name, "hasUniqueValue": False, "groupName": f"group_of_{kind}"})
        return _error(404, "OBJECT_NOT_FOUND", f"Property {name} does not exist")

    def _make_property(self, request: Request, kind: str) -> Reply:
        body = request.json()
        if body["groupName"] != f"group_of_{kind}":
            return _error(400, "VALIDATION_ERROR", "groupName does not exist")
        self.unique_properties.add((kind, body["name"]))
        return Reply(201, body)

    def _token(self, request: Request) -> Reply:
        assert request.json() == {"tokenKey": TOKEN}
        return Reply(200, {"userId": 1, "hubId": 2, "appId": 3, "scopes": self.scopes})

    def _known(self, kind: str, identity: str, by: str | None) -> str | None:
        if by is None:
            identity = self.merged.get(identity, identity)
            return identity if self.objects.get(identity, {}).get("kind") == kind else None
        return next(
            (
                i
                for i, one in self.objects.items()
                if one["kind"] == kind and one["properties"].get(by) == identity
            ),
            None,
        )

    def _refused(self, kind: str, properties: dict[str, str], but: str = "") -> Reply | None:
        for name in (_OURS, "email"):
            taken = self._known(kind, properties[name], name) if properties.get(name) else None
            taken = taken or (
                self._by_another_address(properties.get("email", "")) if name == "email" else None
            )
            if taken not in (None, but) and name == "email":
                return _error(409, "CONFLICT", f"Contact already exists. Existing ID: {taken}")
            if taken not in (None, but):
                return _error(400, "VALIDATION_ERROR", f"{name}: another object already has that value")
        for name in self.refused.keys() & properties.keys():
            return _error(400, "VALIDATION_ERROR", self.refused[name])
        known = {"firstname", "lastname", "phone", "email", "calls"}
        known |= {name for one, name in self.unique_properties | self.plain if one == kind}
        wrong = [name for name in properties if name not in known and not name.startswith("hs_")]
        return _error(400, "VALIDATION_ERROR", f"Property {wrong} does not exist") if wrong else None

    def _by_another_address(self, address: str) -> str | None:
        for identity, one in self.objects.items():
            others = one["properties"].get("hs_additional_emails", "").split(";")
            if address and address in others:
                return identity
        return None

    def _shown(self, identity: str) -> dict[str, Any]:
        one = self.objects[identity]
        properties = {**one["properties"], "hs_object_id": identity, "createdate": one["time"]}
        return {
            "id": identity, "properties": properties, "createdAt": one["time"], "updatedAt": one["time"],
            "archived": False,
        }  # fmt: skip


def _searchable(properties: dict[str, str]) -> dict[str, str]:
    """What HubSpot works out for its search: numbers without country code, the portal's country being the US."""
    derived = dict(properties)
    for name, kind in (("phone", "phone"), ("mobilephone", "mobile")):
        try:
            number = phonenumbers.parse(properties.get(name, ""), "US")
            derived[f"hs_searchable_calculated_{kind}_number"] = phonenumbers.national_significant_number(
                number
            )
        except phonenumbers.NumberParseException:
            continue
    return derived
