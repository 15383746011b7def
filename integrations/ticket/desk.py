"""What every ticket system has in common: create or update, compare, check.

A system's own words for all this are in its file.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Limits
from integrations.errors import Gone, Paused, Refused
from integrations.rest import Missing, RestClient
from integrations.ticket.rendering import Ticket, ticket
from integrations.ticket.updating import Update, Written, gone, update


@dataclass(frozen=True)
class Held:
    """A ticket as its system holds it.

    Args:
        fields: the values of what `Desk.fields` names, and of `Desk.place`.
        last: what aftercall wrote last, as far as the ticket tells.
        version: what `Desk.change` needs to know besides, if anything.
    """

    fields: Mapping[str, str]
    last: Written | None
    version: str = ""


class Desk(ABC):
    """A ticket system; not for several threads at once."""

    name: str
    limits = Limits()

    def __init__(self, client: RestClient, settings: IntegrationSettings) -> None:
        self.client, self._board = client, settings.board_url

    @abstractmethod
    def find(self, delivery: Delivery) -> str | None:
        """The ticket that carries the action's key, if there is one."""

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Create it, or tell that one what is new; Gone if that one is not there any more."""
        made = ticket(delivery, self._board)
        if external_id is None:
            return self.create(delivery, made)
        try:
            held, due = self._due(made, external_id)
            if due is not None:
                self.change(external_id, due, held)
        except Missing:
            raise gone(self.client.system, external_id) from None
        except Paused as error:
            # The key may be right, and only this ticket out of its reach: that must not stop the others.
            self.who()
            raise Refused(str(error)) from None
        return external_id

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write; None if the ticket says all this already."""
        made = ticket(delivery, self._board)
        if external_id is None:
            return self.new(made)
        try:
            held, due = self._due(made, external_id)
        except (Missing, Gone):
            return self.new(made)
        return self.changes(due, held) if due else None

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
        except (Missing, Gone):
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
    def new(self, made: Ticket) -> dict[str, Any]:
        """The body that makes it."""

    @abstractmethod
    def changes(self, due: Update, held: Held) -> dict[str, Any]:
        """The body that writes an update."""

    @abstractmethod
    def create(self, delivery: Delivery, made: Ticket) -> str:
        """Make it, with what `updating` wants kept on it; returns its id."""

    @abstractmethod
    def held(self, external_id: str) -> Held:
        """The ticket as it is now; Missing if it is not there."""

    @abstractmethod
    def change(self, external_id: str, due: Update, held: Held) -> None:
        """Write an update in one request, so that no crash leaves half of it."""

    def _due(self, made: Ticket, external_id: str) -> tuple[Held, Update | None]:
        held = self.held(external_id)
        return held, update(made, self.fields(made), held.fields, held.last)
