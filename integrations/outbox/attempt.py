"""One try of one action. `plan` says what it would do, and `execute` does it; both find the record in the same way.

Nothing is written to the outbox here: that is `results`. What goes first, and where an action goes, is decided before.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import (
    Delivery,
    Destination,
    SupportsDiff,
    SupportsPreview,
    Transactional,
    can_be_asked,
)
from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
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
from integrations.outbox.models import Action
from integrations.outbox.queue import earlier_records, got_through_since, links, notes_before, parents
from integrations.outbox.results import RECOGNISED, STOPPED, Outcome
from integrations.outbox.retry import wait
from integrations.outbox.schema import DEAD, RETRYING, SENT, SKIPPED, UPDATABLE, SkipReason
from integrations.outbox.transitions import MOST_BEGUN, SKIP_TEXTS

T = TypeVar("T")
Clock = Callable[[], datetime]
CREATE, UPDATE, NOTHING, SKIP, WAIT, FAIL = "create", "update", "nothing", "skip", "wait", "fail"
"""What a try would do."""


class NotYet(Exception):
    """The action's turn has not come: what it hangs on is still waiting."""


class NotBegun(Exception):
    """The pass is over, or another dispatcher has the action: nothing was sent."""


class PerhapsSent(Unsendable):
    """Sends of the action began and nobody knows how they ended; a person decides."""


@dataclass(frozen=True)
class Plan:
    """What a try would do: create, update, nothing (the record is as it should be), skip, wait or fail; and why.

    `changes` has, by the system's own field names, the value there now (None: nothing) and the one after. `cause` is
    what was raised.
    """

    action: Action
    does: str
    reason: str = ""
    changes: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    cause: Exception | None = None


def _at_once(_: Action) -> None:
    """Nothing precedes the send."""


class Sender:
    """Plans and executes tries at one opened destination. For one thread.

    Args:
        engine: the outbox's engine, to read what the destination holds already.
        target: the opened destination.
        settings: backoff and secrets.
        clock: the time.
        ids: ids of the records of this pass, by `due_key`; shared with the other senders of the destination.
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
        ids: dict[str, str],
        is_probe: Callable[[], bool] = lambda: False,
        begin: Callable[[Action], None] = _at_once,
    ) -> None:
        self.engine, self.target, self.settings, self.clock, self.ids = engine, target, settings, clock, ids
        self.name, self.is_probe, self.begin = target.name, is_probe, begin

    def plan(self, action: Action) -> Plan:
        """What a try would do now. The destination is asked, and never changed."""
        try:
            self._check_begun(action)
            delivery = self.delivery(action)
            return self._at_record(action, delivery, lambda record: self._plan(action, delivery, record))
        except NotYet as error:
            return Plan(action, WAIT, str(error))
        except Exception as error:
            # A client library may throw anything; a plan must still get to the next action.
            outcome = self._failure(action, self.clock(), error)
            reason = outcome.error or ""
            if not isinstance(error, Suppressed | Rejected):
                reason = f"{self.name} could not be asked: {reason}"
            return Plan(action, SKIP if outcome.result == SKIPPED else FAIL, reason, cause=error)

    def execute(self, action: Action) -> Outcome:
        """Try it. Raises NotYet and NotBegun; then nothing is to be written."""
        delivery = self.delivery(action)
        started = self.clock()
        try:
            if self._check_begun(action):
                self.begin(action)
            external_id, result = self._at_record(
                action, delivery, lambda record: self._send(action, delivery, record)
            )
        except NotBegun:
            raise
        except Exception as error:
            # Whatever a client library throws: the next action must still get its turn.
            return self._failure(action, started, error)
        self.ids[action.due_key] = external_id
        return Outcome(action, self.name, result, started, self.clock(), external_id)

    def delivery(self, action: Action) -> Delivery:
        """The action as the destination sees it. Raises NotYet."""
        is_transactional = isinstance(self.target, Transactional)
        contact_id = self._contact(action.parent_key) if action.parent_key else None
        if action.kind == "task" and action.parent_key:
            self._check_note(action)
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
            earlier=() if is_transactional else earlier_records(self.engine, action, self.name),
            links=links(self.engine, action, self.settings) if action.channel == "chat" else {},
        )

    def _contact(self, due_key: str) -> str | None:
        if due_key in self.ids:
            return self.ids[due_key] or None
        parent = parents(self.engine, [due_key], self.name).get(due_key)
        if parent and not parent.is_settled:
            raise NotYet("its contact goes first")
        return parent.external_id if parent else None

    def _check_note(self, task: Action) -> None:
        notes = notes_before(self.engine, task, self.name)
        if any(key not in self.ids and not note.is_settled for key, note in notes.items()):
            raise NotYet("its note goes first")

    def _must_begin(self, action: Action) -> bool:
        """True if a "begun" must precede the send: nobody could ask whether the thing is there already."""
        is_transactional = isinstance(self.target, Transactional)
        return not is_transactional and not can_be_asked(self.target) and self._own_id(action) is None

    def _check_begun(self, action: Action) -> bool:
        """True if a "begun" must precede the send. Raises PerhapsSent if so many began that a person must decide."""
        must_begin = self._must_begin(action)
        if must_begin and action.begun >= MOST_BEGUN:
            raise PerhapsSent(
                f"perhaps sent; a person decides: {action.begun} sends began and nobody knows how they ended. "
                f"Look whether {action.destination} has it. Then aftercall actions give-up, or retry to send it again"
            )
        return must_begin

    def _own_id(self, action: Action) -> str | None:
        # An id that another destination gave says nothing to this one.
        return action.external_id if action.destination == self.name else None

    def _at_record(self, action: Action, delivery: Delivery, use: Callable[[str | None], T]) -> T:
        """What `use` returns for the id under which the record is; None: it is to be created.

        `use` raises NotFound where nothing is under an id any more; then the next one is tried.
        """
        own = self._own_id(action)
        if own is not None:
            with suppress(NotFound):
                return use(own)
        listed = self.target.find(delivery)
        # A search may still list what was deleted.
        if listed is not None and listed != own:
            with suppress(NotFound):
                return use(listed)
        return use(None)

    def _is_final(self, action: Action, record: str | None) -> bool:
        """True if an earlier try has created the record, and its kind is sent only once."""
        return record is not None and record != self._own_id(action) and action.kind not in UPDATABLE

    def _send(self, action: Action, delivery: Delivery, record: str | None) -> tuple[str, str]:
        if record is not None and self._is_final(action, record):
            return record, RECOGNISED
        return self.target.send(delivery, record), SENT

    def _plan(self, action: Action, delivery: Delivery, record: str | None) -> Plan:
        """Raises NotFound if nothing is under the id any more."""
        if self._is_final(action, record):
            return Plan(action, NOTHING, f"it is there as {record}, and is sent only once")
        fields: Mapping[str, str] | None = {}
        if record and isinstance(self.target, SupportsDiff):
            fields = self.target.current(delivery, record)
        if fields is None:
            raise NotFound(f"{self.name} has no {record} any more")
        target, changes, is_new = self.target, dict[str, tuple[str | None, str]](), True
        if isinstance(target, SupportsPreview) and not (record and isinstance(target, SupportsDiff)):
            is_new = target.body(delivery, record) is not None
        if isinstance(target, SupportsDiff):
            planned = target.planned(delivery, record)
            changes = {
                name: (fields.get(name), value)
                for name, value in planned.items()
                if fields.get(name) != value
            }
            is_new = is_new and bool(changes or not record)
        if record and not is_new:
            return Plan(action, NOTHING, f"{record} says the same already")
        return Plan(action, UPDATE if record else CREATE, record or "", changes)

    def _failure(self, action: Action, started: datetime, error: Exception) -> Outcome:
        """What a try came to that raised this."""
        text = describe(error, self.settings)
        outcome = Outcome(action, self.name, DEAD, started, self.clock(), error=text, cause=error)
        if isinstance(error, Suppressed):
            text = f"{SKIP_TEXTS[SkipReason.HELD_BACK]}: {text}"
            return replace(outcome, result=SKIPPED, error=text)
        if isinstance(error, Unsendable):
            return outcome
        if isinstance(error, RateLimited):
            return replace(outcome, result=STOPPED)
        outcome = replace(outcome, is_lost=self._must_begin(action) and _is_lost(error))
        if isinstance(error, DestinationUnavailable | Unreachable | ConnectionError | TimeoutError):
            return self._system_failure(outcome)
        if self.is_probe():
            return replace(outcome, result=STOPPED)
        if isinstance(error, Rejected | Forbidden):
            outcome = replace(outcome, is_alone=self._is_its_own(action))
        return outcome if isinstance(error, Rejected) else _retried(outcome, self.settings)

    def _system_failure(self, outcome: Outcome) -> Outcome:
        """The system failed, whatever the action: that costs nothing, unless others get through."""
        error = outcome.cause
        if self._is_its_own(outcome.action):
            return _retried(outcome, self.settings)
        if isinstance(error, DestinationUnavailable) or (self.is_probe() and not outcome.is_lost):
            return replace(outcome, result=STOPPED, is_lost=False)
        after = error.after if isinstance(error, Unreachable) else None
        later = self.clock() + wait(1, self.settings, after)
        return replace(outcome, result=RETRYING, next_attempt_at=later, is_free=True)

    def _is_its_own(self, action: Action) -> bool:
        """True if only this action does not get through: it was stopped at before, and others went out since."""
        since = action.stopped_at if not self.is_probe() else None
        return since is not None and got_through_since(self.engine, action.channel, self.name, since)


def delivery_of(
    engine: Engine, action: Action, target: Destination, settings: IntegrationSettings, at: datetime
) -> Delivery:
    """The action as an opened destination sees it; without its contact while that is still to come."""
    sender = Sender(engine, target, settings, lambda: at, {})
    try:
        return sender.delivery(action)
    except NotYet:
        return sender.delivery(replace(action, parent_key=None))


def _is_lost(error: Exception) -> bool:
    """True if nobody knows whether what was sent has arrived."""
    if isinstance(error, Unreachable):
        return error.is_lost
    is_answer = isinstance(error, TransientError | DestinationUnavailable | Rejected)
    return not is_answer and not is_no_connection(error)


def _retried(outcome: Outcome, settings: IntegrationSettings) -> Outcome:
    """A failure of the action's own: when it is tried again, if it is."""
    failures = outcome.action.failures + 1
    after = outcome.cause.after if isinstance(outcome.cause, TransientError) else None
    if failures >= settings.retry_max_attempts:
        return replace(outcome, result=DEAD)
    return replace(
        outcome, result=RETRYING, next_attempt_at=outcome.finished_at + wait(failures, settings, after)
    )
