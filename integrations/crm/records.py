"""What every CRM has in common: find the contact, create or fill in, hang notes and tasks on it, compare.

A system's own words for all this are in its file, which contact is meant is `matching`, what is written `rendering`.
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
from integrations.errors import Gone, Paused, Refused
from integrations.http import HttpClient
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
            raise Paused("set AFTERCALL_PHONE_REGION to a country like US or DE, or to nothing")
        self.own = own_fields(settings.crm_fields)

    def find(self, delivery: Delivery) -> str | None:
        """The record that carries the action's key; for a contact, else the one that is the caller."""
        made = record(delivery)
        found = self.marked(made)
        if found is None and made.kind == "contact":
            candidates = self.candidates(made.phone, made.email)
            return chosen(candidates, made.phone, made.email, self.region)
        return found

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Create it, or fill in that one; returns its id. Gone if that one is not there any more."""
        made = record(delivery)
        if external_id is None:
            on = None if made.kind == "contact" else self._contact(delivery, made)
            return self._without_bad_email(
                made, self.wanted(made), lambda fields: self.create(made, fields, on)
            )
        held = self.held(made.kind, external_id)
        if held is None:
            raise Gone(f"{self.client.system} has no {made.kind} {external_id} any more")
        changes = due(held.fields, self.wanted(made), self.ours(made.kind))
        if not changes:
            return held.identity
        try:
            return self._without_bad_email(
                made,
                changes,
                lambda fields: self.change(made, held.identity, fields) if fields else held.identity,
            )
        except Missing as error:
            raise Gone(str(error)) from None

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write; of a note or task whose contact is not there yet all but the contact."""
        made = record(delivery)
        held = self.held(made.kind, external_id) if external_id else None
        if held is None:
            on = None if made.kind == "contact" else self._known(delivery, made)
            return self.new(made, self.wanted(made), on)
        changes = due(held.fields, self.wanted(made), self.ours(made.kind))
        return self.changes(made, changes) if changes else None

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        """The fields as they will be: of a record that is there, what `send` leaves and what it writes."""
        made = record(delivery)
        wanted = self.wanted(made)
        held = self.held(made.kind, external_id) if external_id else None
        if held is None:
            return wanted
        kept = {name: held.fields.get(name, "") for name in wanted}
        return {**kept, **due(held.fields, wanted, self.ours(made.kind))}

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
        return {"name": str(made.values["name"]), "phone": made.phone, "email": made.email} | own

    def ours(self, kind: str) -> Collection[str]:
        """Fields that an update overwrites: those of the settings, the texts of notes and tasks."""
        return self.own.values() if kind == "contact" else self.text_fields

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

    def _without_bad_email(
        self, made: Record, fields: Mapping[str, str], write: Callable[[Mapping[str, str]], str]
    ) -> str:
        """Write; if the system takes it only without the e-mail address (not one, or another contact's), so be it."""
        try:
            return write(fields)
        except (Gone, Missing):
            raise
        except (Refused, Conflict):
            if made.kind != "contact" or not fields.get("email"):
                raise
            return write({name: value for name, value in fields.items() if name != "email"})


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
        raise Paused(
            f"set AFTERCALL_CRM_FIELDS to pairs like call_count=calls__c; there is {', '.join(OWN_FIELDS)}"
        )
    return fields
