"""Contacts or leads, and tasks, in Salesforce: a note is a logged call, that is a task that is done.

    AFTERCALL_CRM=salesforce
    AFTERCALL_SALESFORCE_URL=https://acme.my.salesforce.com
    AFTERCALL_SALESFORCE_CLIENT_ID=…
    AFTERCALL_SALESFORCE_CLIENT_SECRET=…

An external client app with the client credentials flow and the scope `api`; its user needs to read, create and edit
contacts (or leads) and tasks. A task holds the action's key in a text field that SOQL can be asked for, which is never
behind; so can numbers in their usual spellings. SOSL, which knows the others too, is behind by some seconds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simple_salesforce.api import SFType
from simple_salesforce.format import format_soql

from integrations import phones
from integrations.config import IntegrationSettings
from integrations.crm.matching import Candidate
from integrations.crm.records import Crm, RemoteRecord, split
from integrations.crm.rendering import Record
from integrations.crm.salesforce_client import SalesforceClient, SalesforceSettings
from integrations.crm.salesforce_fields import (
    LONGEST_COMPANY,
    LONGEST_EMAIL,
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    OPTIONAL,
    as_text,
    cut,
    duplicates,
    object_of,
    sosl,
)
from integrations.destinations import CheckResult, Limits, check_result
from integrations.errors import DestinationUnavailable, Rejected
from integrations.optional_parts import Omission, Part
from integrations.rendering import fit
from integrations.rest import Conflict, Missing

NUMBERS = ("Phone", "MobilePhone")
PRIORITIES = {"high": "High", "normal": "Normal", "low": "Low"}
DESCRIPTION = "Description"
_CANDIDATE_FIELDS = ("Id", "CreatedDate", *NUMBERS, "Email")
_OF_TASKS = (
    "Subject", "Description", "ActivityDate", "Status", "Priority", "TaskSubtype", "CallDurationInSeconds",
    "CallDisposition",
)  # fmt: skip
# A rule that only warns of duplicates does not keep a customer out; one that blocks them does.
_ALLOW = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}


def open_destination(settings: IntegrationSettings) -> "SalesforceCrm":
    """The org that the settings name."""
    return SalesforceCrm(settings)


class SalesforceCrm(Crm):
    """An org.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "salesforce"
    # Salesforce limits requests a day, and 25 that take over 20 s at a time ("API request limits and allocations").
    limits = Limits(concurrency=5)
    text_fields = frozenset({"Subject", "Description"})
    client: SalesforceClient

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(SalesforceSettings)
        self._key, self._new = own_settings.salesforce_key_field.strip(), own_settings.salesforce_new.strip()
        self._company = own_settings.salesforce_company
        self._url = own_settings.salesforce_url.strip().rstrip("/")
        if not re.fullmatch(r"[A-Za-z]\w*", self._key):
            raise DestinationUnavailable(
                "set AFTERCALL_SALESFORCE_KEY_FIELD to the name of a text field, for instance Call_Key__c"
            )
        if self._new not in ("Contact", "Lead"):
            raise DestinationUnavailable("set AFTERCALL_SALESFORCE_NEW to Contact or Lead")
        super().__init__(SalesforceClient(settings), settings)

    def marked(self, record: Record) -> str | None:
        """The task that holds the key."""
        if record.kind == "contact":
            return None
        where = format_soql("{:literal} = {}", self._key, record.key)
        tasks = self._query(f"SELECT Id FROM Task WHERE {where} ORDER BY CreatedDate LIMIT 1")  # noqa: S608 - quoted
        return str(tasks[0]["Id"]) if tasks else None

    def candidates(self, phone: str, email: str) -> Iterable[Candidate]:
        """Contacts, and leads that are none yet, with the number or the address; a contact goes before a lead."""
        written, names = phones.spellings(phone, self.region), ", ".join(_CANDIDATE_FIELDS)
        where = " OR ".join(format_soql("{:literal} IN {}", name, [*written] or [phone]) for name in NUMBERS)
        where += format_soql(" OR Email = {}", email) if email else ""
        records = self._query(f"SELECT {names} FROM Contact WHERE {where}")  # noqa: S608 - quoted
        records += self._query(f"SELECT {names} FROM Lead WHERE IsConverted = false AND ({where})")  # noqa: S608
        if written:
            terms = " OR ".join(f'"{sosl(one)}"' for one in written)
            answer = self.client.api.search(
                f"FIND {{{terms}}} IN PHONE FIELDS "
                f"RETURNING Contact({names}), Lead({names} WHERE IsConverted = false) LIMIT 200"
            )
            records += self.client.listed(answer, "searchRecords") if answer else []
        return map(self._candidate, records)

    def named_by(self, error: Rejected | Conflict) -> Iterable[Candidate]:
        """The contacts and leads of `DUPLICATES_DETECTED`, which a rule of the org takes for the same person."""
        for identity in duplicates(error.details):
            try:
                yield self._candidate(self._read(identity, _CANDIDATE_FIELDS) or {})
            except Missing:
                continue

    def wanted(self, record: Record) -> dict[str, str]:
        """The fields; what does not fit into one, or was left out, stands in a contact's description."""
        fields = super().wanted(record)
        if record.kind != "contact":
            return fields
        name, email = fields["name"], fields["email"]
        sentences = [
            f"Full name: {name}" if cut(name) != split(name) else "",
            f"E-mail: {email}" if len(email) > LONGEST_EMAIL else "",
            f"Left out: {record.left_out}" if record.left_out else "",
        ]
        fields["email"] = "" if len(email) > LONGEST_EMAIL else email
        return fields | {DESCRIPTION: "\n".join(filter(None, sentences))}

    def optional(self, record: Record) -> tuple[Part, ...]:
        """Of a contact its address, each of its names, its description and own fields; of a task all but its text."""
        if record.kind != "contact":
            names = (
                "Priority",
                "TaskSubtype",
                "CallDurationInSeconds",
                "CallDisposition",
                "Status",
                "ActivityDate",
            )
            return tuple(Part(name, (name,)) for name in names)
        named = (Part(name, words, order=int(name != "email")) for name, words in OPTIONAL.items())
        own = (Part(field, (field,), order=1) for field in self.own.values())
        return (*named, *own, Part(DESCRIPTION, (DESCRIPTION,), order=2))

    def lessened(self, fields: Mapping[str, str], left_out: Omission) -> dict[str, str]:
        """The fields without what is left out; a name may lose its first or its last."""
        less = super().lessened(fields, left_out)
        last = split(less.get("name", ""))[1]
        if last and "first name" in left_out:
            less["name"] = last
        if "last name" in left_out:
            less.pop("name", None)
        return less

    def remote(self, kind: str, identity: str) -> RemoteRecord | None:
        """The record; of a lead that was converted the contact that it became."""
        names = [*_OF_TASKS, self._key]
        if kind == "contact":
            names = ["FirstName", "LastName", *NUMBERS, "Email", *self.own.values()]
            names += ["ConvertedContactId"] if object_of(identity) == "Lead" else []
        try:
            answer = self._read(identity, names)
        except Missing:
            return None
        values = {name: as_text((answer or {}).get(name)) for name in names}
        if kind != "contact":
            return RemoteRecord(identity, values)
        if values.get("ConvertedContactId"):
            return self.remote(kind, values["ConvertedContactId"])
        number = values["Phone"] or values["MobilePhone"]
        # Salesforce wants a last name: an unknown caller is called by the number, until somebody knows better.
        last = "" if phones.same(values["LastName"], number, self.region) else values["LastName"]
        name = f"{values['FirstName']} {last}".strip()
        own = {field: values[field] for field in self.own.values()}
        return RemoteRecord(identity, {**own, "name": name, "phone": number, "email": values["Email"]})

    def texts(self, record: Record) -> dict[str, str]:
        """A call that was made, or something to do on a day."""
        title = record.values["title"] if record.kind == "note" else record.values["subject"]
        common = {
            "Subject": fit(title, LONGEST_SUBJECT),
            "Description": record.text(LONGEST_TEXT),
            self._key: record.key,
        }
        if record.kind == "task":
            open_task = {
                "ActivityDate": f"{record.due_on}",
                "Status": "Not Started",
                "Priority": PRIORITIES[record.priority],
            }
            return common | open_task
        seconds = record.values.get("duration_seconds")
        return common | {
            "ActivityDate": f"{record.started_at:%Y-%m-%d}",
            "Status": "Completed",
            "TaskSubtype": "Call",
            "CallDurationInSeconds": "" if seconds is None else str(round(seconds)),
            "CallDisposition": str(record.values.get("disposition") or ""),
        }

    def new(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> dict[str, Any]:
        """The fields of a contact or lead, or of a task and whose it is."""
        values = self.changes(record, fields)
        if record.kind != "contact":
            return {**values, "WhoId": contact_id} if contact_id else values
        values.setdefault("LastName", phones.readable(record.phone, self.region))
        return values | ({"Company": fit(self._company, LONGEST_COMPANY)} if self._new == "Lead" else {})

    def create(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Make it; a task's contact or lead is part of it."""
        values = self.new(record, fields, contact_id)
        if record.kind == "contact":
            answer = self._object_api(self._new).create(values, headers=_ALLOW)
        else:
            answer = self._object_api("Task").create(values)
        return str(self.client.part(answer, "id"))

    def change(self, record: Record, identity: str, fields: Mapping[str, str]) -> str:
        """Write these fields; a contact's description only where there is none."""
        if record.kind == "contact" and DESCRIPTION in fields and self._is_described(identity):
            fields = {name: value for name, value in fields.items() if name != DESCRIPTION}
        self._object_api(object_of(identity)).update(identity, self.changes(record, fields), headers=_ALLOW)
        return identity

    def link(self, kind: str, external_id: str) -> str | None:
        """The record's page."""
        return f"{self._url}/{external_id}"

    def check(self) -> Iterator[CheckResult]:
        """Whether the app may log in, its user may read and write, and the fields are there."""
        yield check_result("credentials", self._may_log_in)
        persons = ("LastName", "Phone", "Email", *self.own.values())
        yield check_result(f"may write {self._new}s", lambda: self._may_write(self._new, persons))
        yield check_result("may write Tasks", self._may_write, "Task", ("WhoId", "Description", self._key))

    def _may_log_in(self) -> str:
        self.client.log_in()
        return "Salesforce takes the key"

    def _may_write(self, name: str, fields: Iterable[str]) -> str:
        answer = self._object_api(name).describe() or {}
        known = {str(one.get("name")): one for one in self.client.listed(answer, "fields")}
        missing = [field for field in fields if not known.get(field, {}).get("updateable")]
        if not (answer.get("createable") and answer.get("updateable")):
            raise Rejected(f"the app's user may not create and edit {name}s")
        if missing:
            raise Rejected(f"{name}s have no {', '.join(missing)} that the app's user may edit")
        return "yes"

    def _due(self, record: Record, remote: RemoteRecord) -> dict[str, str]:
        """What an update writes; a contact's description only tells of what is written beside it."""
        changes = super()._due(record, remote)
        if record.kind == "contact" and not ({"name", "email"} & changes.keys() or record.left_out):
            changes.pop(DESCRIPTION, None)
        return changes

    def _is_described(self, identity: str) -> bool:
        """Whether people wrote a description, or keep it from the app's user."""
        try:
            return bool((self._read(identity, [DESCRIPTION]) or {}).get(DESCRIPTION))
        except Missing:
            raise
        except Rejected:
            return True

    def _read(self, identity: str, names: Iterable[str]) -> Any:
        """The record's fields, without custom fields if somebody deleted one of them."""
        path = f"sobjects/{object_of(identity)}/{identity}"
        try:
            return self.client.api.restful(path, {"fields": ",".join(names)})
        except Missing:
            raise
        except Rejected:
            less = [name for name in names if name not in self.own.values()]
            if len(less) == len([*names]):
                raise
            return self.client.api.restful(path, {"fields": ",".join(less)})

    def _candidate(self, fields: Mapping[str, Any]) -> Candidate:
        identity = str(self.client.part(fields, "Id"))
        numbers = tuple(str(fields[name]) for name in NUMBERS if fields.get(name))
        # By the alphabet a Contact comes before a Lead.
        age = f"{object_of(identity)} {fields.get('CreatedDate')}"
        return Candidate(identity, age, numbers, (str(fields.get("Email") or ""),))

    def _object_api(self, name: str) -> SFType:
        record = getattr(self.client.api, name)
        assert isinstance(record, SFType)  # noqa: S101 - what the library makes of any name but two
        return record

    def _query(self, query: str) -> list[dict[str, Any]]:
        return self.client.listed(self.client.api.query(query), "records")

    def changes(self, record: Record, fields: Mapping[str, str]) -> dict[str, Any]:
        """By Salesforce's names and with the types that it wants."""
        values: dict[str, Any] = {name: value for name, value in fields.items() if value}
        if "CallDurationInSeconds" in values:
            values["CallDurationInSeconds"] = int(values["CallDurationInSeconds"])
        if record.kind != "contact":
            return values
        values |= {
            field: record.values[name]
            for name, field in self.own.items()
            if field in values and name != "last_call_at"
        }
        renamed = {"phone": "Phone", "email": "Email"}
        values = {renamed.get(name, name): value for name, value in values.items()}
        if "name" in values:
            first, last = cut(values.pop("name"))
            values |= {"FirstName": first, "LastName": last} if last else {"LastName": first}
        return values
