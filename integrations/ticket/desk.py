"""What every ticket system has in common: create or update, compare, check.

A system's own words for all this are in its file.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Limits
from integrations.errors import DestinationUnavailable, Forbidden, NotFound, Rejected
from integrations.optional_parts import WHOLE, Omission, Part, write_without_refused
from integrations.rest import Missing, RestClient
from integrations.ticket.rendering import Ticket, ticket_of
from integrations.ticket.updating import LastWritten, Update, gone, lessened, update

TRANSCRIPT = Part("transcript", ("description", "content", "comment", "html_body", "body", "notes"), order=2)
"""The last thing that a ticket is written without: its text is too long, or holds what a system does not take."""
_LEFT_OUT = "Left out"


def without(ticket: Ticket, left_out: Omission) -> Ticket:
    """The ticket without these parts, with a note that names them."""
    if not left_out:
        return ticket
    transcript = "" if TRANSCRIPT.name in left_out else ticket.transcript
    return replace(ticket, facts=(*ticket.facts, (_LEFT_OUT, left_out.note)), transcript=transcript)


@dataclass(frozen=True)
class RemoteTicket:
    """A ticket as its system holds it.

    Args:
        fields: the values of what `TicketDestination.fields` names, and of `place`.
        last: what aftercall wrote last, as far as the ticket holds it.
        version: what `change` needs to know besides, if anything.
    """

    fields: Mapping[str, str]
    last: LastWritten | None
    version: str = ""


class TicketDestination(ABC):
    """A ticket system; not for several threads at once."""

    name: str
    limits = Limits()
    optional: tuple[Part, ...] = ()
    """What a new ticket can do without, besides `TRANSCRIPT`. A field of `fields` has its own name."""

    def __init__(self, client: RestClient, settings: IntegrationSettings) -> None:
        self.client, self._board = client, settings.board_url

    @abstractmethod
    def find(self, delivery: Delivery) -> str | None:
        """The ticket that carries the action's key, if there is one."""

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Create it, or add the news to that one; NotFound if that one was deleted."""
        ticket = ticket_of(delivery, self._board)
        if external_id is None:
            return write_without_refused(
                lambda left_out: self.create(delivery, without(ticket, left_out), left_out), self._parts()
            )
        try:
            remote, due = self._due(ticket, external_id)
            if due is not None:
                self._as_far_as_taken(due, remote, lambda less: self.change(external_id, less, remote))
        except Missing:
            raise gone(self.client.system, external_id) from None
        except (DestinationUnavailable, Forbidden) as error:
            # The key may be right, and only this ticket out of its reach: that must not stop the others.
            self.who()
            raise Rejected(str(error)) from None
        return external_id

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write; None if the ticket says all this already."""
        ticket = ticket_of(delivery, self._board)
        if external_id is None:
            return self._new(ticket)
        try:
            remote, due = self._due(ticket, external_id)
        except (Missing, NotFound):
            return self._new(ticket)
        return self._as_far_as_taken(due, remote, lambda less: self.changes(less, remote)) if due else None

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        """The fields of a new ticket, by the system's own names; of one that is there, how an update would leave it.

        `news` is the summary of what an update tells beside its fields; the whole text is in `body`.
        """
        ticket = ticket_of(delivery, self._board)
        if external_id is None:
            return {**self.place(ticket), **self.fields(ticket)}
        remote, due = self._due(ticket, external_id)
        left = {name: remote.fields.get(name, "") for name in self.fields(ticket)}
        if due is None:
            return left
        return {**left, **due.fields, **({"news": due.comment.summary} if due.comment else {})}

    def current(self, delivery: Delivery, external_id: str) -> Mapping[str, str] | None:
        """What an update may change, as it is in the system; None if the ticket is gone."""
        try:
            remote = self.remote(external_id)
        except (Missing, NotFound):
            return None
        return {name: remote.fields.get(name, "") for name in self.fields(ticket_of(delivery, self._board))}

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @abstractmethod
    def who(self) -> str:
        """Whose key it is; DestinationUnavailable if the system refuses it."""

    @abstractmethod
    def fields(self, ticket: Ticket) -> Mapping[str, str]:
        """What an update may change while nobody else did: title and priority, by the system's own names."""

    @abstractmethod
    def place(self, ticket: Ticket) -> Mapping[str, str]:
        """Where a new ticket goes; never changed afterwards."""

    @abstractmethod
    def new(self, ticket: Ticket, left_out: Omission = WHOLE) -> dict[str, Any]:
        """The body that creates it. Raises Rejected, naming the part, if the system is known to have no such thing."""

    @abstractmethod
    def changes(self, due: Update, remote: RemoteTicket) -> dict[str, Any]:
        """The body that writes an update."""

    @abstractmethod
    def create(self, delivery: Delivery, ticket: Ticket, left_out: Omission) -> str:
        """Make it, with what `updating` wants kept on it and without these parts; returns its id."""

    @abstractmethod
    def remote(self, external_id: str) -> RemoteTicket:
        """The ticket as it is now; Missing if it is not there."""

    @abstractmethod
    def change(self, external_id: str, due: Update, remote: RemoteTicket) -> None:
        """Write an update in one request, so that no crash leaves half of it."""

    def _parts(self) -> tuple[Part, ...]:
        return (*self.optional, TRANSCRIPT)

    def _new(self, ticket: Ticket) -> Any:
        return write_without_refused(
            lambda left_out: self.new(without(ticket, left_out), left_out), self._parts()
        )

    def _as_far_as_taken(self, due: Update, remote: RemoteTicket, write: Callable[[Update], Any]) -> Any:
        """What `write` makes of the update, or of the update without the fields that the system refuses."""
        known = {part.name: part for part in self.optional}
        parts = [known.get(name, Part(name, (name,))) for name in due.fields]

        def lessened_and_written(left_out: Omission) -> Any:
            less = lessened(due, left_out.parts, remote.last)
            if less.comment and left_out:
                less = replace(less, comment=without(less.comment, left_out))
            if less.comment or less.fields:
                return write(less)
            if not left_out.is_named:
                # Then it was hardly the fields: the ticket takes nothing any more.
                raise Rejected(left_out.reason)
            return None

        return write_without_refused(lessened_and_written, [*parts, *([TRANSCRIPT] if due.comment else [])])

    def _due(self, ticket: Ticket, external_id: str) -> tuple[RemoteTicket, Update | None]:
        remote = self.remote(external_id)
        return remote, update(ticket, self.fields(ticket), remote.fields, remote.last)
