"""One try of one action: look, send, and say what came of it. Writes nothing; that is `marking`."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Destination, Transactional, can_be_asked
from integrations.errors import (
    DestinationUnavailable,
    NotFound,
    RateLimited,
    Rejected,
    Suppressed,
    TransientError,
    Unreachable,
    Unsendable,
    describe,
    is_no_connection,
)
from integrations.outbox.linking import links
from integrations.outbox.models import Action
from integrations.outbox.queue import got_through_since, made_before, notes_before, parents
from integrations.outbox.results import STOPPED, Outcome
from integrations.outbox.retry import wait
from integrations.outbox.schema import UPDATABLE
from integrations.outbox.transitions import HELD_BACK, MOST_BEGUN

Clock = Callable[[], datetime]


class NotYet(Exception):
    """The action's turn has not come: what it hangs on is still waiting."""


class NotBegun(Exception):
    """The pass is over, or another dispatcher has the action: nothing was sent."""


class PerhapsSent(Unsendable):
    """Sends of the action began and nobody knows how they ended; a person decides."""


def _at_once(_: Action) -> None:
    """Nothing precedes the send."""


class Sender:
    """Tries actions at one opened destination. For one thread.

    Args:
        engine: the outbox's engine, to read what the destination made before.
        target: the opened destination.
        settings: backoff and secrets.
        clock: the time.
        made: ids of the records made in this pass, by `due_key`; shared with the other triers of the destination.
            Empty: it holds up nothing any more, and has none.
        is_probe: asks whether this try is to find out if a stopped destination works again; if so, it costs nothing.
        begin: records durably that a send begins, where the destination cannot be asked. Raises NotBegun.
    """

    def __init__(
        self,
        engine: Engine,
        target: Destination,
        settings: IntegrationSettings,
        clock: Clock,
        made: dict[str, str],
        is_probe: Callable[[], bool] = lambda: False,
        begin: Callable[[Action], None] = _at_once,
    ) -> None:
        self.engine, self.target, self.settings, self.clock, self.made = engine, target, settings, clock, made
        self.name, self.is_probe, self.begin = target.name, is_probe, begin

    def attempt(self, action: Action) -> Outcome:
        """Try it. Raises NotYet and NotBegun; then nothing is to be written."""
        delivery = self.delivery(action)
        begins = self.begins(action)
        started = self.clock()
        try:
            if begins:
                check_begun(action)
                self.begin(action)
            external_id, result = self._send(action, delivery)
        except NotBegun:
            raise
        except Suppressed as error:
            text = HELD_BACK + describe(error, self.settings)
            return Outcome(action, self.name, "skipped", started, self.clock(), error=text, cause=error)
        except Unsendable as error:
            return self._failure(action, started, error, final=True)
        except RateLimited as error:
            return self._stopped(action, started, error)
        except (DestinationUnavailable, Unreachable, ConnectionError, TimeoutError) as error:
            return self._system_failed(action, started, error, begins)
        except Rejected as error:
            if self.is_probe():
                return self._stopped(action, started, error)
            is_alone = self._is_its_own(action)
            return replace(self._failure(action, started, error, final=True), is_alone=is_alone)
        except Exception as error:
            # Whatever a client library throws: the next action must still get its turn.
            is_lost = begins and _is_lost(error)
            if self.is_probe():
                return replace(self._stopped(action, started, error), is_lost=is_lost)
            return replace(self._failure(action, started, error, final=False), is_lost=is_lost)
        self.made[action.due_key] = external_id
        return Outcome(action, self.name, result, started, self.clock(), external_id)

    def begins(self, action: Action) -> bool:
        """True if a "begun" must precede the send: nobody could ask whether the thing is there already."""
        is_kept = isinstance(self.target, Transactional)
        return not is_kept and not can_be_asked(self.target) and self._own_id(action) is None

    def delivery(self, action: Action) -> Delivery:
        """The action as the destination sees it. Raises NotYet."""
        kept = isinstance(self.target, Transactional)
        contact_id = self._contact(action.parent_key) if action.parent_key else None
        if action.kind == "task" and action.parent_key:
            self._after_its_note(action)
        return Delivery(
            action.due_key,
            action.channel,
            action.kind,
            action.source,
            action.call_id,
            action.payload,
            at=self.clock(),
            known_since=action.created_at,
            contact_id=contact_id,
            earlier=() if kept else made_before(self.engine, action, self.name),
            links=links(self.engine, action, self.settings) if action.channel == "chat" else {},
        )

    def _contact(self, due_key: str) -> str | None:
        if due_key in self.made:
            return self.made[due_key] or None
        parent = parents(self.engine, [due_key], self.name).get(due_key)
        if parent and not parent.is_settled:
            raise NotYet("its contact goes first")
        return parent.external_id if parent else None

    def _after_its_note(self, task: Action) -> None:
        notes = notes_before(self.engine, task, self.name)
        if any(key not in self.made and not note.is_settled for key, note in notes.items()):
            raise NotYet("its note goes first")

    def _own_id(self, action: Action) -> str | None:
        # An id that another destination gave says nothing to this one.
        return action.external_id if action.destination == self.name else None

    def _send(self, action: Action, delivery: Delivery) -> tuple[str, str]:
        own = self._own_id(action)
        if own is not None:
            with suppress(NotFound):
                return self.target.send(delivery, own), "sent"
        found = self.target.find(delivery)
        if found is not None and action.kind not in UPDATABLE:
            return found, "found"
        # A search may still list what was deleted.
        with suppress(NotFound):
            return self.target.send(delivery, None if found == own else found), "sent"
        return self.target.send(delivery, None), "sent"

    def _is_its_own(self, action: Action) -> bool:
        """Whether only this action does not get through: it was stopped at before, and others went out since."""
        since = action.stopped_at if not self.is_probe() else None
        return since is not None and got_through_since(self.engine, action.channel, self.name, since)

    def _system_failed(self, action: Action, started: datetime, error: Exception, begins: bool) -> Outcome:
        """The system failed, whatever the action: that costs nothing, unless others get through."""
        is_lost = begins and _is_lost(error)
        if self._is_its_own(action):
            return replace(self._failure(action, started, error, final=False), is_lost=is_lost)
        if isinstance(error, DestinationUnavailable) or (self.is_probe() and not is_lost):
            return self._stopped(action, started, error)
        after = error.after if isinstance(error, Unreachable) else None
        later = self.clock() + wait(1, self.settings, after)
        text = describe(error, self.settings)
        tried = Outcome(action, self.name, "retrying", started, self.clock(), None, text, later, error)
        return replace(tried, is_free=True, is_lost=is_lost)

    def _stopped(self, action: Action, started: datetime, error: Exception) -> Outcome:
        text = describe(error, self.settings)
        return Outcome(action, self.name, STOPPED, started, self.clock(), error=text, cause=error)

    def _failure(self, action: Action, started: datetime, error: Exception, *, final: bool) -> Outcome:
        text = describe(error, self.settings)
        tried = Outcome(action, self.name, "dead", started, self.clock(), error=text, cause=error)
        return tried if final else failed(tried, self.settings)


def check_begun(action: Action) -> None:
    """Raise PerhapsSent if so many sends of the action began without a known end that a person must decide."""
    if action.begun >= MOST_BEGUN:
        raise PerhapsSent(
            f"perhaps sent; a person decides: {action.begun} sends began and nobody knows how they ended. "
            f"Look whether {action.destination} has it. Then aftercall actions give-up, or retry to send it again"
        )


def _is_lost(error: Exception) -> bool:
    """True if nobody knows whether what was sent has arrived."""
    if isinstance(error, Unreachable):
        return error.is_lost
    return not isinstance(error, TransientError | DestinationUnavailable) and not is_no_connection(error)


def failed(tried: Outcome, settings: IntegrationSettings) -> Outcome:
    """A try that was in vain, as its action's own failure: when it is tried again, if it is."""
    failures = tried.action.failures + 1
    after = tried.cause.after if isinstance(tried.cause, TransientError) else None
    if failures >= settings.retry_max_attempts:
        return replace(tried, result="dead")
    return replace(
        tried, result="retrying", next_attempt_at=tried.finished_at + wait(failures, settings, after)
    )
