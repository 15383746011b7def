"""What every CRM has in common: find the contact, create or fill in, hang notes and tasks on it, compare.

A contact whose number only the call itself claims (`Record.is_verified`) is created if there is none, and otherwise
left as it is. A system's own words for all this are in its file, which contact is meant is `matching`, what is written
`rendering`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from integrations import phones
from integrations.config import IntegrationSettings
from integrations.crm.matching import Candidate, chosen, due
from integrations.crm.rendering import Record, record_of
from integrations.destinations import Delivery, Limits
from integrations.errors import DestinationUnavailable, NotFound, Rejected
from integrations.http import HttpClient
from integrations.optional_parts import Omission, Part, write_without_refused
from integrations.rest import Conflict, Missing

# Fields of a contact besides name, address and number: AFTERCALL_CRM_FIELDS.
OWN_FIELDS = ("call_count", "last_call_at", "is_vip")


@dataclass(frozen=True)
class RemoteRecord:
    """A record as its system holds it.

    Args:
        identity: its id now; another than the one asked for if two were merged.
        fields: the values of the fields that aftercall may write; empty where there is none.
    """

    identity: str
    fields: Mapping[str, str]


class Crm(ABC):
    """A CRM; not for several threads at once."""

    name: str
    limits = Limits()
    text_fields: frozenset[str] = frozenset()
    """Fields of notes and tasks that an update overwrites."""

    def __init__(self, client: HttpClient, settings: IntegrationSettings) -> None:
        self.client, self.region = client, settings.phone_region.strip()
        if self.region and not phones.is_region(self.region):
            raise DestinationUnavailable(
                "set AFTERCALL_PHONE_REGION to a country like US or DE, or to nothing"
            )
        self.own = own_fields(settings.crm_fields)
        # Else an address that a caller claims would be one that the CRM holds at the next call.
        self._takes_addresses = not settings.email_only_known

    def find(self, delivery: Delivery) -> str | None:
        """The record that carries the action's key; for a contact, else the one that is the caller."""
        record = record_of(delivery)
        marked = self.marked(record)
        if marked is None and record.kind == "contact":
            email = record.email if self._takes_addresses else ""
            return chosen(self.candidates(record.phone, email), record.phone, email, self.region)
        return marked

    def addresses(self, phone: str) -> frozenset[str]:
        """The e-mail addresses of every contact that has the number, in small letters."""
        return frozenset(
            address.strip().lower()
            for contact in self.candidates(phone, "")
            if any(phones.same(number, phone, self.region) for number in contact.phones)
            for address in contact.emails
            if address.strip()
        )

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Create it, or fill in that one; returns its id. NotFound if that one was deleted."""
        record = record_of(delivery)
        if external_id is None:
            on = None if record.kind == "contact" else self._contact(delivery, record)
            return self._written(record, self.wanted, lambda one, fields: self._created(one, fields, on))
        remote = self.remote(record.kind, external_id)
        if remote is None:
            raise NotFound(f"{self.client.system} has no {record.kind} {external_id} any more")
        try:
            return self._filled_in(record, remote)
        except Missing as error:
            raise NotFound(str(error)) from None

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write; of a note or task whose contact is not there yet all but the contact."""
        record = record_of(delivery)
        remote = self.remote(record.kind, external_id) if external_id else None
        if remote is None:
            on = None if record.kind == "contact" else self._known(delivery, record)
            return self.new(record, self.wanted(record), on)
        changes = self._due(record, remote)
        return self.changes(record, changes) if changes else None

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        """The fields as they will be: of a record that is there, what `send` leaves and what it writes."""
        record = record_of(delivery)
        wanted = self.wanted(record)
        remote = self.remote(record.kind, external_id) if external_id else None
        if remote is None:
            return wanted
        present = {name: remote.fields.get(name, "") for name in wanted}
        return {**present, **self._due(record, remote)}

    def current(self, delivery: Delivery, external_id: str) -> Mapping[str, str] | None:
        """The same fields as they are in the system; None if the record is gone."""
        record = record_of(delivery)
        remote = self.remote(record.kind, external_id)
        return {name: remote.fields.get(name, "") for name in self.wanted(record)} if remote else None

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @abstractmethod
    def marked(self, record: Record) -> str | None:
        """The record that carries the key, asked in a way that is never behind; None where contacts carry none."""

    @abstractmethod
    def candidates(self, phone: str, email: str) -> Iterable[Candidate]:
        """Contacts that may have the number, in whatever spelling, or the address."""

    @abstractmethod
    def remote(self, kind: str, identity: str) -> RemoteRecord | None:
        """The record as it is now; None if it is not there."""

    def wanted(self, record: Record) -> dict[str, str]:
        """The fields of a new record: of a contact name, phone, email and its own; else by the system's own names."""
        if record.kind != "contact":
            return self.texts(record)
        own = {field: record.own(name) for name, field in self.own.items()}
        email = record.email if self._takes_addresses else ""
        return {"name": str(record.values["name"]), "phone": record.phone, "email": email} | own

    def ours(self, kind: str) -> Collection[str]:
        """Fields that an update overwrites: those of the settings, the texts of notes and tasks."""
        return self.own.values() if kind == "contact" else self.text_fields

    def optional(self, record: Record) -> tuple[Part, ...]:
        """What the record can do without, by the names of `wanted`, the likeliest cause of a refusal first."""
        if record.kind != "contact":
            return ()
        own = (Part(field, (field,), order=1) for field in self.own.values())
        return (Part("email", ("email",)), Part("name", ("name",), order=1), *own)

    def lessened(self, fields: Mapping[str, str], left_out: Omission) -> dict[str, str]:
        """The fields without what is left out."""
        return left_out.of(fields)

    def named_by(self, error: Rejected | Conflict) -> Iterable[Candidate]:
        """The contacts that a refusal names as being there already, as they are now."""
        return ()

    @abstractmethod
    def texts(self, record: Record) -> dict[str, str]:
        """The fields of a new note or task."""

    @abstractmethod
    def new(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> Any:
        """The body that makes it on a contact; without one what does not depend on it."""

    @abstractmethod
    def changes(self, record: Record, fields: Mapping[str, str]) -> Any:
        """The body that writes these fields."""

    @abstractmethod
    def create(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Make it in one request, a note or task with its contact; returns its id."""

    @abstractmethod
    def change(self, record: Record, identity: str, fields: Mapping[str, str]) -> str:
        """Write these fields; returns the id. Missing if it is not there."""

    def _contact(self, delivery: Delivery, record: Record) -> str:
        """The contact to hang it on: the known one if it is there, else the caller's, else a new one."""
        return self._known(delivery, record) or self.send(_caller(delivery, record), None)

    def _known(self, delivery: Delivery, record: Record) -> str | None:
        remote = self.remote("contact", delivery.contact_id) if delivery.contact_id else None
        return self.find(_caller(delivery, record)) if remote is None else remote.identity

    def _due(self, record: Record, remote: RemoteRecord) -> dict[str, str]:
        """What an update writes; nothing to a contact whose number is only claimed."""
        if record.kind == "contact" and not record.is_verified:
            return {}
        return due(remote.fields, self.wanted(record), self.ours(record.kind))

    def _filled_in(self, record: Record, remote: RemoteRecord) -> str:
        if not self._due(record, remote):
            return remote.identity
        return self._written(
            record,
            lambda one: self._due(one, remote),
            lambda one, fields: self.change(one, remote.identity, fields) if fields else remote.identity,
        )

    def _created(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Create it; where the system says that the caller's contact is there already, fill in that one."""
        try:
            return self.create(record, fields, contact_id)
        except (Missing, NotFound):
            raise
        except (Rejected, Conflict) as error:
            if record.kind != "contact":
                raise
            known = chosen(self.named_by(error), record.phone, fields.get("email", ""), self.region)
            remote = self.remote("contact", known) if known else None
            if remote is None:
                raise
            return self._filled_in(record, remote)

    def _written(
        self,
        record: Record,
        fields_of: Callable[[Record], Mapping[str, str]],
        write: Callable[[Record, Mapping[str, str]], str],
    ) -> str:
        """Write the record, without the parts that the system refuses and that it does not need."""

        def lessened_and_written(left_out: Omission) -> str:
            one = replace(record, left_out=left_out.note)
            return write(one, self.lessened(fields_of(one), left_out))

        # A conflict of a contact is about its address, which is another contact's.
        refusals = (Rejected, Conflict) if record.kind == "contact" else (Rejected,)
        return write_without_refused(lessened_and_written, self.optional(record), refusals=refusals)


def _caller(delivery: Delivery, record: Record) -> Delivery:
    return replace(
        delivery, kind="contact", action_key=f"contact:{record.phone}", payload={"phone": record.phone}
    )


def split(name: str) -> tuple[str, str]:
    """A name as first and last: the last word is the last name; one word alone is the first."""
    first, _, last = name.rpartition(" ")
    return (first, last) if first else (last, "")


def own_fields(text: str) -> dict[str, str]:
    """The contact's fields by our names for their values. Raises DestinationUnavailable for an unreadable setting."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    fields = {name.strip(): field.strip() for name, _, field in pairs}
    if not all(name in OWN_FIELDS and field for name, field in fields.items()):
        raise DestinationUnavailable(
            f"set AFTERCALL_CRM_FIELDS to pairs like call_count=calls__c; there is {', '.join(OWN_FIELDS)}"
        )
    return fields
