"""Contacts, notes and tasks in HubSpot.

    AFTERCALL_CRM=hubspot
    AFTERCALL_HUBSPOT_TOKEN=pat-…

Contacts, notes and tasks get a property whose values HubSpot itself keeps unique: the action's key. It is made when it
is first needed, and found without a search, which in HubSpot is some seconds behind. A contact that nobody marked yet
is searched by its number.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from integrations.config import IntegrationSettings
from integrations.crm.matching import Candidate
from integrations.crm.records import Crm, RemoteRecord, split
from integrations.crm.rendering import Record
from integrations.destinations import CheckResult, Limits, check_result
from integrations.errors import Rejected
from integrations.hubspot.client import (
    NOTE_TO_CONTACT,
    TASK_TO_CONTACT,
    HubSpot,
    changed,
    new_object,
)
from integrations.optional_parts import Part
from integrations.rest import Conflict, Missing

KEY = "aftercall_key"
OBJECTS = {"contact": "contacts", "note": "notes", "task": "tasks"}
# In whose group of properties ours is made.
_BESIDE = {"contact": "phone", "note": "hs_note_body", "task": "hs_task_body"}
_ASSOCIATIONS = {"note": NOTE_TO_CONTACT, "task": TASK_TO_CONTACT}
PRIORITIES = {"high": "HIGH", "normal": "MEDIUM", "low": "LOW"}
_EXISTING = re.compile(r"Existing ID: (\d{1,20})", re.IGNORECASE)
# HubSpot takes 65,536 characters (its reference "Notes", "Tasks").
LONGEST_HTML = 60_000
# Notes and tasks go with the scopes of contacts.
SCOPES = (
    "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
)  # fmt: skip


def open_destination(settings: IntegrationSettings) -> "HubSpotCrm":
    """The portal that the token belongs to."""
    return HubSpotCrm(settings)


class HubSpotCrm(Crm):
    """A portal.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "hubspot"
    # The smallest plan takes 100 requests in ten seconds (HubSpot, "API usage guidelines"), a record takes up to four.
    limits = Limits(concurrency=3, per_second=2.5)
    text_fields = frozenset({"hs_note_body", "hs_task_subject", "hs_task_body"})
    client: HubSpot

    def __init__(self, settings: IntegrationSettings) -> None:
        super().__init__(HubSpot(settings), settings)

    def marked(self, record: Record) -> str | None:
        """The object whose unique property holds the key."""
        try:
            remote = self.client.get(OBJECTS[record.kind], record.key, [KEY], by=KEY)
        except Rejected:
            # Nothing is marked where there is no property yet; it is made when something is written.
            if self.client.has_property(OBJECTS[record.kind], KEY, is_unique=True):
                raise
            return None
        return str(self.client.part(remote, "id")) if remote else None

    def candidates(self, phone: str, email: str) -> Iterable[Candidate]:
        """Contacts with the number or the address."""
        return self.client.contacts(phone, email, self.region)

    def named_by(self, error: Rejected | Conflict) -> Iterable[Candidate]:
        """The contact of `Contact already exists. Existing ID: 100`: the one that has the address."""
        existing = _EXISTING.search(error.details)
        known = self.client.contact(existing[1]) if existing else None
        return [known] if known else []

    def optional(self, record: Record) -> tuple[Part, ...]:
        """Of a contact what every CRM's can do without, of a task its priority and type."""
        if record.kind == "task":
            return tuple(Part(name, (name,)) for name in ("hs_task_priority", "hs_task_type"))
        named = {"email": ("email", "INVALID_EMAIL"), "name": ("firstname", "lastname")}
        return tuple(
            replace(part, words=named.get(part.name, part.words)) for part in super().optional(record)
        )

    def remote(self, kind: str, identity: str) -> RemoteRecord | None:
        """The object; of a contact that was merged the one that it became part of, under that one's id."""
        names = {
            "contact": ("firstname", "lastname", "phone", "mobilephone", "email", KEY, *self.own.values()),
            "note": ("hs_note_body", "hs_timestamp", KEY),
            "task": (
                "hs_task_subject", "hs_task_body", "hs_timestamp", "hs_task_status", "hs_task_priority", "hs_task_type",
                KEY,
            ),
        }[kind]  # fmt: skip
        answer = self.client.get(OBJECTS[kind], identity, names)
        if answer is None:
            return None
        values = {name: str(self.client.part(answer, "properties").get(name) or "") for name in names}
        if kind == "contact":
            values["name"] = f"{values.pop('firstname')} {values.pop('lastname')}".strip()
            values["phone"] = values["phone"] or values["mobilephone"]
        return RemoteRecord(str(self.client.part(answer, "id")), values)

    def wanted(self, record: Record) -> dict[str, str]:
        """The fields, and the key by which it is found again."""
        return {**super().wanted(record), KEY: record.key}

    def texts(self, record: Record) -> dict[str, str]:
        """A note at the time of the call; a task that is due at noon UTC, which is the same day nearly everywhere."""
        if record.kind == "note":
            return {
                "hs_note_body": record.html(LONGEST_HTML),
                "hs_timestamp": f"{record.started_at:%Y-%m-%dT%H:%M:%SZ}",
            }
        return {
            "hs_task_subject": str(record.values["subject"]),
            "hs_task_body": record.html(LONGEST_HTML),
            "hs_timestamp": f"{record.due_on}T12:00:00Z",
            "hs_task_status": "NOT_STARTED",
            "hs_task_priority": PRIORITIES[record.priority],
            "hs_task_type": "TODO",
        }

    def new(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> Any:
        """The properties, and the contact as an association."""
        return new_object(_properties(fields), self._on(record, contact_id))

    def changes(self, record: Record, fields: Mapping[str, str]) -> Any:
        """The properties."""
        return changed(_properties(fields))

    def create(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Make it, with its contact; if HubSpot says that its key is taken, it is that one."""
        on = self._on(record, contact_id)
        try:
            answer = self._with_key(
                record.kind, lambda: self.client.create(OBJECTS[record.kind], _properties(fields), on)
            )
        except (Rejected, Conflict):
            identity = self.marked(record)
            if identity is None:
                raise
            return identity
        return str(self.client.part(answer, "id"))

    def change(self, record: Record, identity: str, fields: Mapping[str, str]) -> str:
        """Write these properties."""
        self._with_key(
            record.kind, lambda: self.client.update(OBJECTS[record.kind], identity, _properties(fields))
        )
        return identity

    def link(self, kind: str, external_id: str) -> str | None:
        """The contact's page, which shows its notes and tasks; None unless AFTERCALL_HUBSPOT_PORTAL says whose."""
        return self.client.page("0-1", external_id) if kind == "contact" else None

    def check(self) -> Iterator[CheckResult]:
        """Whether the token has the scopes, the objects may be read, and the properties are there."""
        yield check_result("scopes", self.client.has_scopes, SCOPES)
        for kind, objects in OBJECTS.items():
            yield check_result(f"may read {objects}", self.client.may_read, objects)
            yield check_result(f"property {KEY} of {objects}", self._key, kind)
        for field in self.own.values():
            yield check_result(f"property {field}", self._own, field)

    def _on(self, record: Record, contact_id: str | None) -> dict[str, int]:
        return {contact_id: _ASSOCIATIONS[record.kind]} if contact_id else {}

    def _key(self, kind: str) -> str:
        has_key = self.client.has_property(OBJECTS[kind], KEY, is_unique=True)
        return "there" if has_key else f"not there yet; it is made with the first {kind}"

    def _own(self, field: str) -> str:
        if not self.client.has_property("contacts", field):
            raise Rejected(f"contacts have no property {field}: make it, or change AFTERCALL_CRM_FIELDS")
        return "there"

    def _with_key(self, kind: str, write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Write; if that fails for want of the property, make it and write again."""
        try:
            return write()
        except Missing:
            raise
        except (Rejected, Conflict):
            objects = OBJECTS[kind]
            if self.client.has_property(objects, KEY, is_unique=True):
                raise
        beside = self.client.request("GET", f"/crm/v3/properties/{objects}/{_BESIDE[kind]}").json()
        text = f"Under this key aftercall knows the {kind} as its own. Do not change it."
        group = str(self.client.part(beside, "groupName"))
        self.client.make_property(objects, KEY, "aftercall: key", text, is_unique=True, group=group)
        return write()


def _properties(fields: Mapping[str, str]) -> dict[str, str]:
    values = {name: value for name, value in fields.items() if value}
    if "name" in values:
        values["firstname"], values["lastname"] = split(values.pop("name"))
    return {name: value for name, value in values.items() if value}
