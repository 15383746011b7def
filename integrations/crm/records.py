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
from integrations.crm.rendering import Record, record
from integrations.destinations import Delivery, Limits
from integrations.errors import DestinationUnavailable, NotFound, Rejected
from integrations.http import HttpClient
from integrations.optional_parts import Omission, Part, write_without_refused
from integrations.rest import Conflict, Missing

# What a contact may be told of besides name, address and number: AFTERCALL_CRM_FIELDS.
OWN_FIELDS = ("call_count", "last_call_at", "is_vip")


@dataclass(frozen=True)
class Held:
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
        made = record(delivery)
        marked = self.marked(made)
        if marked is None and made.kind == "contact":
            email = made.email if self._takes_addresses else ""
            return chosen(self.candidates(made.phone, email), made.phone, email, self.region)
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
        """Create it, or fill in that one; returns its id. Gone if that one is not there any more."""
        made = record(delivery)
        if external_id is None:
            on = None if made.kind == "contact" else self._contact(delivery, made)
            return self._written(made, self.wanted, lambda one, fields: self._created(one, fields, on))
        held = self.held(made.kind, external_id)
        if held is None:
            raise NotFound(f"{self.client.system} has no {made.kind} {external_id} any more")
        try:
            return self._filled_in(made, held)
        except Missing as error:
            raise NotFound(str(error)) from None

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write; of a note or task whose contact is not there yet all but the contact."""
        made = record(delivery)
        held = self.held(made.kind, external_id) if external_id else None
        if held is None:
            on = None if made.kind == "contact" else self._known(delivery, made)
            return self.new(made, self.wanted(made), on)
        changes = self._due(made, held)
        return self.changes(made, changes) if changes else None

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        """The fields as they will be: of a record that is there, what `send` leaves and what it writes."""
        made = record(delivery)
        wanted = self.wanted(made)
        held = self.held(made.kind, external_id) if external_id else None
        if held is None:
            return wanted
        kept = {name: held.fields.get(name, "") for name in wanted}
        return {**kept, **self._due(made, held)}

    def current(self, delivery: Delivery, external_id: str) -> Mapping[str, str] | None:
        """The same fields as they are in the system; None if the record is gone."""
        made = record(delivery)
        held = self.held(made.kind, external_id)
        return {name: held.fields.get(name, "") for name in self.wanted(made)} if held else None

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @abstractmethod
    def marked(self, made: Record) -> str | None:
        """The record that carries the key, asked in a way that is never behind; None where contacts carry none."""

    @abstractmethod
    def candidates(self, phone: str, email: str) -> Iterable[Candidate]:
        """Contacts that may have the number, in whatever spelling, or the address."""

    @abstractmethod
    def held(self, kind: str, identity: str) -> Held | None:
        """The record as it is now; None if it is not there."""

    def wanted(self, made: Record) -> dict[str, str]:
        """The fields of a new record: of a contact name, phone, email and its own; else by the system's own names."""
        if made.kind != "contact":
            return self.texts(made)
        own = {field: made.own(told) for told, field in self.own.items()}
        email = made.email if self._takes_addresses else ""
        return {"name": str(made.values["name"]), "phone": made.phone, "email": email} | own

    def ours(self, kind: str) -> Collection[str]:
        """Fields that an update overwrites: those of the settings, the texts of notes and tasks."""
        return self.own.values() if kind == "contact" else self.text_fields

    def optional(self, made: Record) -> tuple[Part, ...]:
        """What the record can do without, by the names of `wanted`, the likeliest cause of a refusal first."""
        if made.kind != "contact":
            return ()
        own = (Part(field, (field,), order=1) for field in self.own.values())
        return (Part("email", ("email",)), Part("name", ("name",), order=1), *own)

    def lessened(self, fields: Mapping[str, str], left_out: Omission) -> dict[str, str]:
        """The fields without what is left out."""
        return {name: value for name, value in fields.items() if name not in left_out}

    def named_by(self, error: Rejected | Conflict) -> Iterable[Candidate]:
        """The contacts that a refusal names as being there already, as they are now."""
        return ()

    @abstractmethod
    def texts(self, made: Record) -> dict[str, str]:
        """The fields of a new note or task."""

    @abstractmethod
    def new(self, made: Record, fields: Mapping[str, str], contact_id: str | None) -> Any:
        """The body that makes it on a contact; without one what does not depend on it."""

    @abstractmethod
    def changes(self, made: Record, fields: Mapping[str, str]) -> Any:
        """The body that writes these fields."""

    @abstractmethod
    def create(self, made: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Make it in one request, a note or task with its contact; returns its id."""

    @abstractmethod
    def change(self, made: Record, identity: str, fields: Mapping[str, str]) -> str:
        """Write these fields; returns the id. Missing if it is not there."""

    def _contact(self, delivery: Delivery, made: Record) -> str:
        """The contact to hang it on: the known one if it is there, else the caller's, else a new one."""
        return self._known(delivery, made) or self.send(_caller(delivery, made), None)

    def _known(self, delivery: Delivery, made: Record) -> str | None:
        held = self.held("contact", delivery.contact_id) if delivery.contact_id else None
        return self.find(_caller(delivery, made)) if held is None else held.identity

    def _due(self, made: Record, held: Held) -> dict[str, str]:
        """What an update writes; nothing to a contact whose number is only claimed."""
        if made.kind == "contact" and not made.is_verified:
            return {}
        return due(held.fields, self.wanted(made), self.ours(made.kind))

    def _filled_in(self, made: Record, held: Held) -> str:
        if not self._due(made, held):
            return held.identity
        return self._written(
            made,
            lambda one: self._due(one, held),
            lambda one, fields: self.change(one, held.identity, fields) if fields else held.identity,
        )

    def _created(self, made: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Create it; where the system says that the caller's contact is there already, fill in that one."""
        try:
            return self.create(made, fields, contact_id)
        except (Missing, NotFound):
            raise
        except (Rejected, Conflict) as error:
            email = fields.get("email", "")
            known = (
                chosen(self.named_by(error), made.phone, email, self.region)
                if made.kind == "contact"
                else None
            )
            held = self.held("contact", known) if known else None
            if held is None:
                raise
            return self._filled_in(made, held)

    def _written(
        self,
        made: Record,
        fields_of: Callable[[Record], Mapping[str, str]],
        write: Callable[[Record, Mapping[str, str]], str],
    ) -> str:
        """Write the record, without the parts that the system refuses and that it does not need."""

        def lessened_and_written(left_out: Omission) -> str:
            one = replace(made, left_out=left_out.note)
            return write(one, self.lessened(fields_of(one), left_out))

        # A conflict of a contact is about its address, which is another contact's.
        refusals = (Rejected, Conflict) if made.kind == "contact" else (Rejected,)
        return write_without_refused(lessened_and_written, self.optional(made), refusals=refusals)


def _caller(delivery: Delivery, made: Record) -> Delivery:
    return replace(
        delivery, kind="contact", action_key=f"contact:{made.phone}", payload={"phone": made.phone}
    )


def split(name: str) -> tuple[str, str]:
    """A name as first and last: the last word is the last name; one word alone is the first."""
    first, _, last = name.rpartition(" ")
    return (first, last) if first else (last, "")


def own_fields(text: str) -> dict[str, str]:
    """Fields of the contact by what is written into them, from AFTERCALL_CRM_FIELDS; Paused if it cannot be read."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    fields = {told.strip(): field.strip() for told, _, field in pairs}
    if not all(told in OWN_FIELDS and field for told, field in fields.items()):
        raise DestinationUnavailable(
            f"set AFTERCALL_CRM_FIELDS to pairs like call_count=calls__c; there is {', '.join(OWN_FIELDS)}"
        )
    return fields
