"""Tickets in HubSpot, on the contact who called.

    AFTERCALL_TICKETS=hubspot
    AFTERCALL_HUBSPOT_TOKEN=pat-…
    AFTERCALL_HUBSPOT_TICKET_STAGES=billing=12/34,0/1

The action's key is a property whose values HubSpot itself keeps unique, so that even two at once make one ticket. The
two properties that this takes are made with the first ticket.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from integrations.config import DestinationSettings, IntegrationSettings
from integrations.crm.matching import chosen
from integrations.destinations import CheckResult, Delivery, Limits, check_result
from integrations.errors import DestinationUnavailable, Rejected
from integrations.hubspot.client import TICKET_TO_CONTACT, HubSpot, new_object
from integrations.optional_parts import WHOLE, Omission, Part
from integrations.rendering import fit
from integrations.rest import Conflict, Missing
from integrations.ticket.desk import RemoteTicket, TicketDestination
from integrations.ticket.rendering import Ticket, description, fitted
from integrations.ticket.targets import targets
from integrations.ticket.updating import Update, first, read, reference

KEY, WRITTEN = "aftercall_key", "aftercall_written"
LONGEST_TITLE, LONGEST_CONTENT = 255, 60_000
READ = ("subject", "content", "hs_ticket_priority", "hs_pipeline", "hs_pipeline_stage", WRITTEN)
AGAIN = "\n\n---\nLater, from the call:\n\n"
# Besides these, making the two properties takes crm.schemas.tickets.write once.
SCOPES = ("tickets", "crm.objects.contacts.read", "crm.schemas.tickets.read")
_PROPERTIES = {
    KEY: ("aftercall: key", "Under this key aftercall knows the ticket as its own. Do not change it.", True),
    WRITTEN: ("aftercall: written", "What aftercall wrote last, so that it touches nothing of yours.", False),
}


class HubSpotTicketSettings(DestinationSettings):
    """Beside those of `integrations.hubspot.client`."""

    hubspot_ticket_stages: str = Field(
        "0/1",
        description="Pipeline and stage of each queue's new tickets: billing=12/34,0/1; the one alone is for all "
        "others (0/1: HubSpot's own first pipeline and stage).",
    )


def open_destination(settings: IntegrationSettings) -> "HubSpotTickets":
    """The portal that the token belongs to."""
    return HubSpotTickets(settings)


class HubSpotTickets(TicketDestination):
    """A portal's tickets.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "hubspot"
    # The smallest plan takes 100 requests in ten seconds and five searches a second (HubSpot, "API usage guidelines"),
    # a ticket takes up to five.
    limits = Limits(concurrency=3, per_second=2.0)
    optional = (
        Part("pipeline", ("hs_pipeline", "hs_pipeline_stage", "pipeline", "stage")),
        Part("hs_ticket_priority", ("hs_ticket_priority", "priority")),
        Part("contact", ("association", "associations", "contact", "associationTypeId")),
    )
    client: HubSpot

    def __init__(self, settings: IntegrationSettings) -> None:
        self._stages = targets(
            settings.of(HubSpotTicketSettings).hubspot_ticket_stages, "AFTERCALL_HUBSPOT_TICKET_STAGES"
        )
        if not all(one.count("/") == 1 for one in self._stages.all()):
            raise DestinationUnavailable(
                "set AFTERCALL_HUBSPOT_TICKET_STAGES to pipeline/stage, for instance billing=12/34,0/1"
            )
        self._region = settings.phone_region.strip()
        super().__init__(HubSpot(settings), settings)
        self._known_properties: set[str] = set()

    def find(self, delivery: Delivery) -> str | None:
        """The ticket with the action's key; no search, so never behind."""
        if not self._has_property(KEY):
            return None
        remote = self.client.get("tickets", reference(delivery.action_key), [KEY], by=KEY)
        return str(self.client.part(remote, "id")) if remote else None

    def who(self) -> str:
        """The account that the token belongs to."""
        answer = self.client.request("GET", "/account-info/v3/details").json()
        return f"account {self.client.part(answer, 'portalId')}"

    def fields(self, ticket: Ticket) -> Mapping[str, str]:
        """Subject, priority and the text."""
        return {
            "subject": fit(ticket.title, LONGEST_TITLE),
            "hs_ticket_priority": ticket.priority.upper(),
            "content": _content(ticket),
        }

    def place(self, ticket: Ticket) -> Mapping[str, str]:
        """The queue's pipeline and stage; Forbidden if the settings name none."""
        target = self._stages.needed(ticket.queue)
        pipeline, _, stage = target.partition("/")
        return {"hs_pipeline": pipeline, "hs_pipeline_stage": stage}

    def create(self, delivery: Delivery, ticket: Ticket, left_out: Omission) -> str:
        """Make it, on its contact; if HubSpot says that its key is taken, it is that one."""
        self._prepare()
        try:
            answer = self.client.create("tickets", *self._properties(ticket, left_out))
        except (Rejected, Conflict):
            ticket_of = self.find(delivery)
            if ticket_of is None:
                raise
            return ticket_of
        return str(self.client.part(answer, "id"))

    def new(self, ticket: Ticket, left_out: Omission = WHOLE) -> dict[str, Any]:
        """The body that makes it."""
        return new_object(*self._properties(ticket, left_out))

    def _properties(self, ticket: Ticket, left_out: Omission) -> tuple[dict[str, str], dict[str, int]]:
        fields = left_out.of(self.fields(ticket))
        properties = {
            **fields,
            **(self._first_stage() if "pipeline" in left_out else self.place(ticket)),
            KEY: reference(ticket.external_key),
            WRITTEN: first(ticket, fields).dumped(),
        }
        contact = None if "contact" in left_out else self._contact(ticket)
        return properties, {contact: TICKET_TO_CONTACT} if contact else {}

    def _first_stage(self) -> dict[str, str]:
        """Where a ticket goes whose own pipeline or stage is gone: HubSpot takes none without a stage."""
        answer = self.client.request("GET", "/crm/v3/pipelines/tickets").json()
        for pipeline in sorted(self.client.listed(answer, "results"), key=_position):
            stages = sorted(self.client.listed(pipeline, "stages"), key=_position)
            if stages and not pipeline.get("archived"):
                return {"hs_pipeline": str(pipeline.get("id")), "hs_pipeline_stage": str(stages[0].get("id"))}
        raise Rejected("HubSpot has no pipeline of tickets that has a stage: make one")

    def remote(self, external_id: str) -> RemoteTicket:
        """The ticket, and what is kept on it."""
        answer = self.client.get("tickets", external_id, READ)
        if answer is None:
            raise Missing(external_id)
        values = {name: str(value or "") for name, value in self.client.part(answer, "properties").items()}
        return RemoteTicket(values, read(values.get(WRITTEN)))

    def change(self, external_id: str, due: Update, remote: RemoteTicket) -> None:
        """The text anew if nobody touched it, else what is new below theirs; and the contact, if there is none yet."""
        if due.comment and not self.client.associated("tickets", external_id, "contacts"):
            contact = self._contact(due.comment)
            if contact:
                self.client.associate("tickets", external_id, "contacts", contact)
        self.client.update("tickets", external_id, self.changes(due, remote)["properties"])

    def changes(self, due: Update, remote: RemoteTicket) -> dict[str, Any]:
        """The body that writes an update."""
        properties = {**due.fields, WRITTEN: due.written.dumped()}
        if due.comment and "content" not in due.fields:
            properties["content"] = _below(remote.fields.get("content", ""), due.comment)
        return {"properties": properties}

    def link(self, kind: str, external_id: str) -> str | None:
        """The ticket's page; None unless AFTERCALL_HUBSPOT_PORTAL says whose."""
        return self.client.page("0-5", external_id)

    def check(self) -> Iterator[CheckResult]:
        """Whether the token has the scopes, and whether what is to be read and written is there."""
        yield check_result("credentials", self.who)
        yield check_result("scopes", self.client.has_scopes, SCOPES)
        for kind in ("tickets", "contacts"):
            yield check_result(f"may read {kind}", self.client.may_read, kind)
        for name in _PROPERTIES:
            yield check_result(f"property {name}", self._property, name)
        for target in self._stages.all():
            yield check_result(f"stage {target}", self._stage, target)

    def _property(self, name: str) -> str:
        if self._has_property(name):
            return "there"
        return "not there yet; it is made with the first ticket (crm.schemas.tickets.write)"

    def _stage(self, target: str) -> str:
        pipeline, _, stage = target.partition("/")
        answer = self.client.request("GET", f"/crm/v3/pipelines/tickets/{pipeline}").json()
        names = {str(one.get("id")): str(one.get("label")) for one in self.client.listed(answer, "stages")}
        if stage not in names:
            raise Rejected(f"pipeline {pipeline} has no stage {stage}; it has {', '.join(names)}")
        return f"{answer.get('label')}, {names[stage]}"

    def _has_property(self, name: str) -> bool:
        is_known = name in self._known_properties
        if is_known or self.client.has_property("tickets", name, is_unique=_PROPERTIES[name][2]):
            self._known_properties.add(name)
            return True
        return False

    def _prepare(self) -> None:
        for name, (label, text, is_unique) in _PROPERTIES.items():
            if not self._has_property(name):
                self.client.make_property("tickets", name, label, text, is_unique=is_unique)
                self._known_properties.add(name)

    def _contact(self, ticket: Ticket) -> str | None:
        """The caller's contact by the CRM's own rules; the one that aftercall marked is known before any search."""
        phone, email = ticket.customer_phone, ticket.customer_email
        marked = self._marked(f"contact:{phone}") if phone else None
        if marked or not (phone or email):
            return marked
        contacts = self.client.contacts(phone, email, self._region)
        if not phone:
            return contacts[0].identity if contacts else None
        return chosen(contacts, phone, email, self._region)

    def _marked(self, key: str) -> str | None:
        try:
            contact = self.client.get("contacts", key, [KEY], by=KEY)
        except Rejected:
            # Contacts have no such property where the CRM is not HubSpot.
            return None
        return str(self.client.part(contact, "id")) if contact else None


def _position(part: Mapping[str, Any]) -> int:
    """Where a pipeline or stage stands among its like."""
    order = part.get("displayOrder")
    return order if isinstance(order, int) else 0


def _content(ticket: Ticket) -> str:
    return fitted(lambda room: description(ticket, room), LONGEST_CONTENT)


def _below(theirs: str, answer: Ticket) -> str:
    room = LONGEST_CONTENT - len((theirs + AGAIN).encode())
    return theirs + AGAIN + fitted(lambda most: description(answer, most), max(room, 0))
