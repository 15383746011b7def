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
from integrations.ticket.rendering import Ticket, ticket
from integrations.ticket.updating import LastWritten, Update, gone, lessened, update

TRANSCRIPT = Part("transcript", ("description", "content", "comment", "html_body", "body", "notes"), order=2)
"""The last thing that a ticket is written without: its text is too long, or holds what a system does not take."""
_LEFT_OUT = "Left out"


def without(made: Ticket, left_out: Omission) -> Ticket:
    """The ticket as it is told without these parts: it says so itself."""
    if not left_out:
        return made
    transcript = "" if TRANSCRIPT.name in left_out else made.transcript
    return replace(made, facts=(*made.facts, (_LEFT_OUT, left_out.note)), transcript=transcript)


@dataclass(frozen=True)
class RemoteTicket:
    """A ticket as its system holds it.

    Args:
        fields: the values of what `Desk.fields` names, and of `Desk.place`.
        last: what aftercall wrote last, as far as the ticket tells.
        version: what `Desk.change` needs to know besides, if anything.
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
        """Create it, or tell that one what is new; Gone if that one is not there any more."""
        made = ticket(delivery, self._board)
        if external_id is None:
            return write_without_refused(
                lambda left_out: self.create(delivery, without(made, left_out), left_out), self._parts()
            )
        try:
            held, due = self._due(made, external_id)
            if due is not None:
                self._as_far_as_taken(due, held, lambda less: self.change(external_id, less, held))
        except Missing:
            raise gone(self.client.system, external_id) from None
        except (DestinationUnavailable, Forbidden) as error:
            # The key may be right, and only this ticket out of its reach: that must not stop the others.
            self.who()
            raise Rejected(str(error)) from None
        return external_id

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write; None if the ticket says all this already."""
        made = ticket(delivery, self._board)
        if external_id is None:
            return self._new(made)
        try:
            held, due = self._due(made, external_id)
        except (Missing, NotFound):
            return self._new(made)
        return self._as_far_as_taken(due, held, lambda less: self.changes(less, held)) if due else None

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        """The fields of a new ticket, by the system's own names; of one that is there, how an update would leave it.

        `news` is the summary of what an update tells beside its fields; the whole text is in `body`.
        """
        made = ticket(delivery, self._board)
        if external_id is None:
            return {**self.place(made), **self.fields(made)}
        held, due = self._due(made, external_id)
        left = {name: held.fields.get(name, "") for name in self.fields(made)}
        if due is None:
            return left
        return {**left, **due.fields, **({"news": due.told.summary} if due.told else {})}

    def current(self, delivery: Delivery, external_id: str) -> Mapping[str, str] | None:
        """What an update may change, as it is in the system; None if the ticket is gone."""
        try:
            held = self.held(external_id)
        except (Missing, NotFound):
            return None
        return {name: held.fields.get(name, "") for name in self.fields(ticket(delivery, self._board))}

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @abstractmethod
    def who(self) -> str:
        """Whose key it is; Paused if the system refuses it."""

    @abstractmethod
    def fields(self, made: Ticket) -> Mapping[str, str]:
        """What an update may change while nobody else did: title and priority, by the system's own names."""

    @abstractmethod
    def place(self, made: Ticket) -> Mapping[str, str]:
        """Where a new ticket goes; never changed afterwards."""

    @abstractmethod
    def new(self, made: Ticket, left_out: Omission = WHOLE) -> dict[str, Any]:
        """The body that makes it. Refused, naming the part, if it is known before that the system has no such thing."""

    @abstractmethod
    def changes(self, due: Update, held: RemoteTicket) -> dict[str, Any]:
        """The body that writes an update."""

    @abstractmethod
    def create(self, delivery: Delivery, made: Ticket, left_out: Omission) -> str:
        """Make it, with what `updating` wants kept on it and without these parts; returns its id."""

    @abstractmethod
    def held(self, external_id: str) -> RemoteTicket:
        """The ticket as it is now; Missing if it is not there."""

    @abstractmethod
    def change(self, external_id: str, due: Update, held: RemoteTicket) -> None:
        """Write an update in one request, so that no crash leaves half of it."""

    def _parts(self) -> tuple[Part, ...]:
        return (*self.optional, TRANSCRIPT)

    def _new(self, made: Ticket) -> Any:
        return write_without_refused(
            lambda left_out: self.new(without(made, left_out), left_out), self._parts()
        )

    def _as_far_as_taken(self, due: Update, held: RemoteTicket, write: Callable[[Update], Any]) -> Any:
        """What `write` makes of the update, or of the update without the fields that the system refuses."""
        known = {part.name: part for part in self.optional}
        parts = [known.get(name, Part(name, (name,))) for name in due.fields]

        def lessened_and_written(left_out: Omission) -> Any:
            less = lessened(due, left_out.parts, held.last)
            if less.told and left_out:
                less = replace(less, told=without(less.told, left_out))
            if less.told or less.fields:
                return write(less)
            if not left_out.is_named:
                # Then it was hardly the fields: the ticket takes nothing any more.
                raise Rejected(left_out.reason)
            return None

        return write_without_refused(lessened_and_written, [*parts, *([TRANSCRIPT] if due.told else [])])

    def _due(self, made: Ticket, external_id: str) -> tuple[RemoteTicket, Update | None]:
        held = self.held(external_id)
        return held, update(made, self.fields(made), held.fields, held.last)
