"""One try of one action: look, send, and say what came of it. Writes nothing; that is `marking`."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Destination, KeptInOutbox
from integrations.errors import Busy, Gone, Paused, Refused, Retryable, Skipped, Unreachable, describe
from integrations.outbox.backlog import got_through_since, made_before, notes_before, parents
from integrations.outbox.backoff import wait
from integrations.outbox.deciding import HELD_BACK
from integrations.outbox.linking import links
from integrations.outbox.marking import STOPPED, Outcome
from integrations.outbox.records import Action
from integrations.outbox.schema import UPDATABLE

Clock = Callable[[], datetime]


class NotYet(Exception):
    """The action's turn has not come: what it hangs on is still waiting."""


class Trier:
    """Tries actions at one opened destination. For one thread.

    Args:
        engine: the outbox's engine, to read what the destination made before.
        target: the opened destination.
        settings: backoff and secrets.
        clock: the time.
        made: ids of the records made in this pass, by `due_key`; shared with the other triers of the destination.
            Empty: it holds up nothing any more, and has none.
        is_probe: asks whether this try is to find out if a stopped destination works again; if not, it costs nothing.
    """

    def __init__(
        self,
        engine: Engine,
        target: Destination,
        settings: IntegrationSettings,
        clock: Clock,
        made: dict[str, str],
        is_probe: Callable[[], bool] = lambda: False,
    ) -> None:
        self.engine, self.target, self.settings, self.clock, self.made = engine, target, settings, clock, made
        self.name, self.is_probe = target.name, is_probe

    def attempt(self, action: Action) -> Outcome:
        """Try it. Raises NotYet; then nothing is to be written."""
        delivery = self.delivery(action)
        started = self.clock()
        try:
            external_id, result = self._send(action, delivery)
        except Busy as error:
            return self._stopped(action, started, error)
        except Paused as error:
            if not self._is_its_own(action):
                return self._stopped(action, started, error)
            return self._failure(action, started, error, final=False)
        except Skipped as error:
            told = HELD_BACK + describe(error, self.settings)
            return Outcome(action, self.name, "skipped", started, self.clock(), error=told, cause=error)
        except Refused as error:
            return self._failure(action, started, error, final=True)
        except Exception as error:
            # Whatever a client library throws: the next action must still get its turn.
            if isinstance(error, Unreachable) and not error.may_be_done and self.is_probe():
                return self._stopped(action, started, error)
            return self._failure(action, started, error, final=False)
        self.made[action.due_key] = external_id
        return Outcome(action, self.name, result, started, self.clock(), external_id)

    def delivery(self, action: Action) -> Delivery:
        """The action as the destination sees it. Raises NotYet."""
        kept = isinstance(self.target, KeptInOutbox)
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
            links=links(self.engine, action, self.settings) if action.channel == "slack" else {},
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

    def _send(self, action: Action, delivery: Delivery) -> tuple[str, str]:
        # An id that another destination gave says nothing to this one.
        own = action.external_id if action.destination == self.name else None
        if own is not None:
            with suppress(Gone):
                return self.target.send(delivery, own), "sent"
        found = self.target.find(delivery)
        if found is not None and action.kind not in UPDATABLE:
            return found, "found"
        # A search may still list what was deleted.
        with suppress(Gone):
            return self.target.send(delivery, None if found == own else found), "sent"
        return self.target.send(delivery, None), "sent"

    def _is_its_own(self, action: Action) -> bool:
        """Whether only this action does not get through: it was stopped at before, and others went out since."""
        since = action.stopped_at if not self.is_probe() else None
        return since is not None and got_through_since(self.engine, action.channel, self.name, since)

    def _stopped(self, action: Action, started: datetime, error: Exception) -> Outcome:
        told = describe(error, self.settings)
        return Outcome(action, self.name, STOPPED, started, self.clock(), error=told, cause=error)

    def _failure(self, action: Action, started: datetime, error: Exception, *, final: bool) -> Outcome:
        told = describe(error, self.settings)
        tried = Outcome(action, self.name, "dead", started, self.clock(), error=told, cause=error)
        return tried if final else failed(tried, self.settings)


def failed(tried: Outcome, settings: IntegrationSettings) -> Outcome:
    """A try that was in vain, as its action's own failure: when it is tried again, if it is."""
    failures = tried.action.failures + 1
    after = tried.cause.after if isinstance(tried.cause, Retryable) else None
    if failures >= settings.retry_max_attempts:
        return replace(tried, result="dead")
    return replace(
        tried, result="retrying", next_attempt_at=tried.finished_at + wait(failures, settings, after)
    )
