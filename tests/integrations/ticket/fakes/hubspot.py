"""HubSpot's CRM as far as tickets go: properties that are made first, unique ones, contacts, associations, deletion."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import unquote

from tests.integrations.servers import Request
from tests.integrations.ticket.fakes.judge import Fake, Reply, Route

TOKEN = "pat-right-token"
CORRELATION = "6cb8a4a2-0f3a-4e63-9f8e-52e5e2d1c0de"
BORN = "2026-11-02T08:00:00.000Z"
OWN = ("subject", "content", "hs_ticket_priority", "hs_pipeline", "hs_pipeline_stage", "hubspot_owner_id")
STAGES = {"0": {"1": "New", "2": "Waiting"}, "12": {"34": "Billing"}}


def _refused(status: int, category: str, message: str) -> Reply:
    error = {"status": "error", "message": message, "correlationId": CORRELATION, "category": category}
    return Reply(status, error)


@dataclass
class FakeHubSpot(Fake):
    specs: Sequence[str] = (
        "hubspot/tickets-v3.json",
        "hubspot/contacts-v3.json",
        "hubspot/associations-v4.json",
    )
    paths: str = r"/crm/v[34]/objects/.*"
    undescribed: str = r"/crm/v3/(properties|pipelines)/.*|/account-info/.*|/oauth/v2/.*"
    scopes: list[str] = field(
        default_factory=lambda: ["tickets", "crm.objects.contacts.read", "crm.schemas.tickets.read"]
    )
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    tickets: dict[str, dict[str, str]] = field(default_factory=dict)
    contacts: dict[str, dict[str, str]] = field(default_factory=dict)
    hung: set[tuple[str, str]] = field(default_factory=set)
    may_make_properties: bool = True
    refused: tuple[str, ...] = ()
    """Properties that are refused whatever their value."""
    numbers: Any = field(default_factory=lambda: count(100))

    def is_known(self, request: Request) -> Reply | None:
        if request.headers.get("authorization") == f"Bearer {TOKEN}":
            return None
        return _refused(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")

    def _token(self, request: Request) -> Reply:
        assert request.json() == {"tokenKey": TOKEN}
        return Reply(200, {"userId": 1, "hubId": 77, "appId": 3, "scopes": self.scopes})

    def routes(self) -> Sequence[Route]:
        return (
            ("GET", "/account-info/v3/details", lambda _: Reply(200, {"portalId": 77})),
            ("POST", "/oauth/v2/private-apps/get/access-token-info", self._token),
            ("GET", r"/crm/v3/properties/tickets/(\w+)", self._property),
            ("POST", "/crm/v3/properties/tickets", self._make_property),
            ("GET", r"/crm/v3/pipelines/tickets/(\w+)", self._pipeline),
            ("GET", "/crm/v3/pipelines/tickets", self._pipelines),
            ("GET", r"/crm/v3/objects/(tickets|contacts)", self._some),
            ("POST", "/crm/v3/objects/tickets", self._create),
            ("GET", r"/crm/v3/objects/tickets/([\w-]+)", self._show),
            ("GET", r"/crm/v3/objects/contacts/([\w%]+)", self._marked),
            ("PATCH", r"/crm/v3/objects/tickets/([\w-]+)", self._update),
            ("POST", "/crm/v3/objects/contacts/search", self._search),
            ("GET", r"/crm/v4/objects/tickets/(\w+)/associations/contacts", self._associated),
            ("PUT", r"/crm/v4/objects/tickets/(\w+)/associations/default/contacts/(\w+)", self._associate),
        )

    def of(self, key: str) -> list[str]:
        return [number for number, one in self.tickets.items() if one["aftercall_key"] == key]

    def _property(self, _: Request, name: str) -> Reply:
        known = self.properties.get(name)
        return Reply(200, known) if known else _refused(404, "OBJECT_NOT_FOUND", f"no property {name}")

    def _make_property(self, request: Request) -> Reply:
        new_property = request.json()
        if not self.may_make_properties:
            return _refused(403, "MISSING_SCOPES", "requires all of [crm.schemas.tickets.write]")
        if new_property["name"] in self.properties:
            return _refused(409, "OBJECT_ALREADY_EXISTS", "there is one")
        needed = {"name", "label", "type", "fieldType", "groupName"}
        assert needed <= new_property.keys()
        self.properties[new_property["name"]] = new_property
        return Reply(201, new_property)

    def _pipeline(self, _: Request, pipeline: str) -> Reply:
        if pipeline not in STAGES:
            return _refused(404, "OBJECT_NOT_FOUND", f"no pipeline {pipeline}")
        stages = [{"id": number, "label": label} for number, label in STAGES[pipeline].items()]
        return Reply(200, {"id": pipeline, "label": f"Pipeline {pipeline}", "stages": stages})

    def _pipelines(self, _: Request) -> Reply:
        pipelines = [
            {
                "id": name,
                "displayOrder": -int(name),
                "archived": name == "99",
                "stages": [{"id": stage, "displayOrder": int(stage)} for stage in stages],
            }
            for name, stages in (STAGES | {"99": {"1": "Old"}}).items()
        ]
        return Reply(200, {"results": pipelines})

    def _some(self, _: Request, kind: str) -> Reply:
        return Reply(200, {"results": []})

    def _create(self, request: Request) -> Reply:
        body = request.json()
        wrong = self._wrong(body["properties"])
        if wrong:
            return wrong
        if any(one["to"]["id"] not in self.contacts for one in body["associations"]):
            return _refused(400, "VALIDATION_ERROR", "CONTACT=9 is not valid: invalid association")
        number = str(next(self.numbers))
        self.tickets[number] = body["properties"]
        for one in body["associations"]:
            assert one["types"] == [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 16}]
            self.hung.add((number, one["to"]["id"]))
        return Reply(201, _object(number, body["properties"]))

    def _show(self, request: Request, identity: str) -> Reply:
        name = request.query().get("idProperty")
        if name and not (self.properties.get(name) or {}).get("hasUniqueValue"):
            return _refused(400, "VALIDATION_ERROR", f"{name} is not a unique property")
        number = ([*self.of(identity), ""])[0] if name else identity
        if number not in self.tickets:
            return _refused(404, "OBJECT_NOT_FOUND", "Object not found.")
        wanted = request.query()["properties"].split(",")
        shown = {name: value for name, value in self.tickets[number].items() if name in wanted}
        return Reply(200, _object(number, shown))

    def _update(self, request: Request, number: str) -> Reply:
        if number not in self.tickets:
            return _refused(404, "OBJECT_NOT_FOUND", "Object not found.")
        changes = request.json()["properties"]
        wrong = self._wrong(changes)
        if wrong:
            return wrong
        self.tickets[number] |= changes
        return Reply(200, _object(number, self.tickets[number]))

    def _marked(self, request: Request, key: str) -> Reply:
        assert request.query()["idProperty"] == "aftercall_key"
        if not any("aftercall_key" in one for one in self.contacts.values()):
            return _refused(400, "VALIDATION_ERROR", "aftercall_key is not a unique property")
        matches = [
            number for number, one in self.contacts.items() if one.get("aftercall_key") == unquote(key)
        ]
        return (
            Reply(200, _object(matches[0], {}))
            if matches
            else _refused(404, "OBJECT_NOT_FOUND", "Object not found.")
        )

    def _search(self, request: Request) -> Reply:
        body = request.json()
        if len(body["filterGroups"]) > 5:
            return _refused(400, "VALIDATION_ERROR", "too many filter groups")
        matches = [
            number
            for number, contact in self.contacts.items()
            if any(
                all(contact.get(one["propertyName"]) == one["value"] for one in group["filters"])
                for group in body["filterGroups"]
            )
        ]
        shown = [_object(number, self.contacts[number]) for number in matches[: body["limit"]]]
        return Reply(200, {"total": len(matches), "results": shown})

    def _associated(self, _: Request, number: str) -> Reply:
        label = {"category": "HUBSPOT_DEFINED", "typeId": 16}
        to = [other for one, other in sorted(self.hung) if one == number]
        return Reply(200, {"results": [{"toObjectId": other, "associationTypes": [label]} for other in to]})

    def _associate(self, _: Request, number: str, contact: str) -> Reply:
        self.hung.add((number, contact))
        link_answer = {
            "from": {"id": number}, "to": {"id": contact},
            "associationSpec": {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 16},
        }  # fmt: skip
        return Reply(
            200, {"status": "COMPLETE", "results": [link_answer], "startedAt": BORN, "completedAt": BORN}
        )

    def _wrong(self, values: dict[str, str]) -> Reply | None:
        unknown = values.keys() - set(OWN) - self.properties.keys()
        if unknown:
            return _refused(400, "VALIDATION_ERROR", f"Property {min(unknown)} does not exist")
        if any(len(value) > 65_536 for value in values.values()):
            return _refused(400, "VALIDATION_ERROR", "Property values may hold 65536 characters")
        if values.get("hs_pipeline_stage", "1") not in STAGES.get(values.get("hs_pipeline", "0"), {}):
            allowed = ", ".join(f"stage {number}" for number in range(200))
            return _refused(
                400,
                "VALIDATION_ERROR",
                f'Property values were not valid: [{{"isValid":false,"message":"not one of {allowed}",'
                '"error":"INVALID_OPTION","name":"hs_pipeline_stage"}]',
            )
        if wrong := set(self.refused) & values.keys():
            return _refused(400, "VALIDATION_ERROR", f"Property values were not valid: {min(wrong)}")
        if "aftercall_key" in values and self.of(values["aftercall_key"]):
            return _refused(
                400, "VALIDATION_ERROR", "another ticket already has that value for aftercall_key"
            )
        return None


def _object(number: str, properties: dict[str, str]) -> dict[str, Any]:
    return {"id": number, "properties": properties, "createdAt": BORN, "updatedAt": BORN, "archived": False}
