"""Questions about the ledger: counts, lists, attempts, previews, why something waits, what changed since. Reads only.

What needs a person belongs to `attention`; what is to be sent now belongs to `queue`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, func, not_, or_, select

from integrations.config import IntegrationSettings
from integrations.outbox.circuit_breaker import all_pauses
from integrations.outbox.engine import reading
from integrations.outbox.incidents import open_problems, stop_remedy
from integrations.outbox.keys import due_key_of
from integrations.outbox.models import Action, Attempt, Changes, Count, Intervention, Pause, Preview
from integrations.outbox.queue import as_action
from integrations.outbox.schema import (
    DEAD,
    PENDING,
    PREVIEW,
    RETRYING,
    SENDING,
    SENT,
    SKIPPED,
    UNSETTLED,
    actions,
    attempts,
    change_counter,
    decode_json,
    interventions,
    previews,
)

# What the warehouse learns about an action, in the order of its contract.
_PUBLISHED = (
    "action_key", "channel", "kind", "source", "call_id", "destination", "payload", "status", "attempts",
    "external_id", "last_error", "due_at", "next_attempt_at", "created_at", "updated_at", "sent_at",
)  # fmt: skip
_IS_CLOSED = actions.c.given_up_by.is_not(None)
_IS_PREVIEW = actions.c.destination == PREVIEW
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "sent": and_(actions.c.status == SENT, not_(_IS_PREVIEW)),
    "preview": and_(actions.c.status == SENT, _IS_PREVIEW),
    "waiting": actions.c.status.in_(UNSETTLED),
    "failed": and_(actions.c.status == DEAD, not_(_IS_CLOSED)),
    "closed": and_(actions.c.status == DEAD, _IS_CLOSED),
    "skipped": actions.c.status == SKIPPED,
}
STATES = tuple(_CONDITIONS)
"""Words of a team lead for what became of an action; a preview does not count as sent."""


@dataclass(frozen=True)
class Waiting:
    """The unsettled actions of a channel at one destination, and why they are not done yet."""

    channel: str
    destination: str
    actions: int
    reason: str


@dataclass(frozen=True)
class WaitReason:
    """Why an action is not done yet.

    Args:
        headline: what keeps it waiting.
        details: what was seen, perhaps in a system's words.
        next_try_at: when aftercall tries again, UTC.
        remedy: what a person can do; empty if nothing but its own turn or its own failure keeps the action waiting.
    """

    headline: str
    details: str = ""
    next_try_at: datetime | None = None
    remedy: str = ""

    def __str__(self) -> str:
        when = f", and is tried again at {_at(self.next_try_at)}" if self.next_try_at else ""
        return f"{self.headline}{when}" + (f": {self.details}" if self.details else "")


def state_of(action: Action) -> str:
    """What became of an action: one of STATES, or `retrying` if it waits after a failure."""
    return _state(action.status, action.destination, action.given_up_by is not None)


def _state(status: str, destination: str, is_closed: bool) -> str:
    if status == SENT and destination == PREVIEW:
        return "preview"
    if status == DEAD:
        return "closed" if is_closed else "failed"
    return "waiting" if status in (PENDING, SENDING) else status


class Queries:
    """Questions that change nothing; the base of `Outbox`."""

    engine: Engine

    def version(self) -> int:
        """A number that changes with every write to the outbox."""
        with reading(self.engine) as connection:
            return int(connection.execute(select(change_counter.c.value)).scalar_one_or_none() or 0)

    def counts(self, since: datetime | None = None) -> list[Count]:
        """How many actions there are by channel, kind and status; `since`: only those that changed from then on."""
        group = (actions.c.channel, actions.c.kind, actions.c.status)
        query = select(*group, func.count()).group_by(*group).order_by(*group)
        if since is not None:
            query = query.where(actions.c.updated_at >= since)
        with reading(self.engine) as connection:
            rows = connection.execute(query)
            return [Count(row[0], row[1], row[2], row[3]) for row in rows]

    def state_counts(self, since: datetime) -> dict[str, dict[str, int]]:
        """How many actions there are by channel and state: waiting and failed whenever, all others of this time.

        What is retrying counts as waiting too. `since`: all others changed from then on.
        """
        is_open = or_(_CONDITIONS["waiting"], _CONDITIONS["failed"])
        # By columns and not by expressions with values in them: Postgres would not know those again.
        group = (actions.c.channel, actions.c.status, actions.c.destination, _IS_CLOSED)
        query = (
            select(*group, func.count()).where(or_(is_open, actions.c.updated_at >= since)).group_by(*group)
        )
        by_channel: dict[str, dict[str, int]] = {}
        with reading(self.engine) as connection:
            rows: Sequence[Any] = connection.execute(query).all()
        for channel, status, destination, is_closed, number in rows:
            states = by_channel.setdefault(channel, {})
            name = _state(status, destination, bool(is_closed))
            for each in {name, "waiting"} if status in UNSETTLED else {name}:
                states[each] = states.get(each, 0) + number
        return by_channel

    def troubled(self, limit: int) -> list[Action]:
        """Actions that have failed or are tried again, without those that a person has closed."""
        query = select(actions).where(or_(actions.c.status == RETRYING, _CONDITIONS["failed"]))
        return self._actions(query.order_by(actions.c.status, actions.c.updated_at.desc()).limit(limit))

    def actions(
        self,
        *,
        channel: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        state: str | None = None,
        source: str | None = None,
        call_id: str | None = None,
        destination: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Action]:
        """Actions that match every filter given, the last changed first.

        `state`: one of STATES, or a status; `since`: changed at or after, UTC.
        """
        wanted = {
            "channel": channel, "kind": kind, "status": status, "source": source, "call_id": call_id,
            "destination": destination,
        }  # fmt: skip
        conditions = [actions.c[name] == value for name, value in wanted.items() if value is not None]
        if state:
            conditions.append(_CONDITIONS.get(state, actions.c.status == state))
        if since is not None:
            conditions.append(actions.c.updated_at >= since)
        query = (
            select(actions).where(*conditions).order_by(actions.c.change_number.desc(), actions.c.action_key)
        )
        return self._actions(query.limit(limit).offset(offset))

    def action(self, action_key: str) -> Action | None:
        """One action, by its row's key, or by the key of the rule that made it due."""
        rule = and_(actions.c.due_key == due_key_of(action_key), actions.c.action_key != action_key)
        with reading(self.engine) as connection:
            for condition in (actions.c.action_key == action_key, rule):
                query = select(actions).where(condition).order_by(actions.c.action_key).limit(1)
                if row := connection.execute(query).mappings().first():
                    return as_action(row)
        return None

    def action_keys(self) -> list[str]:
        """The keys of every action."""
        with reading(self.engine) as connection:
            keys: Sequence[str] = connection.execute(select(actions.c.action_key)).scalars().all()
        return list(keys)

    def actions_of_call(self, source: str, call_id: str, phone: str | None, limit: int) -> list[Action]:
        """What is done for a call in every system, and for its customer's contact, the oldest first."""
        own = and_(actions.c.source == source, actions.c.call_id == call_id)
        is_wanted = or_(own, actions.c.due_key == f"contact:{phone}")
        query = select(actions).where(is_wanted).order_by(actions.c.created_at, actions.c.action_key)
        return self._actions(query.limit(limit))

    def attempts(self, action_key: str) -> list[Attempt]:
        """Every try at one action, in order."""
        query = select(attempts).where(attempts.c.action_key == action_key).order_by(attempts.c.number)
        with reading(self.engine) as connection:
            return [Attempt(**row) for row in connection.execute(query).mappings()]

    def interventions(self, action_key: str) -> list[Intervention]:
        """What people did to one action, in order."""
        query = select(interventions).where(interventions.c.action_key == action_key)
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(interventions.c.number))
            return [Intervention(**row) for row in rows.mappings()]

    def previews(self, *, channel: str | None = None, limit: int = 100) -> list[Preview]:
        """What would have gone out, the newest first."""
        query = select(previews).order_by(previews.c.updated_at.desc(), previews.c.action_key)
        if channel is not None:
            query = query.where(previews.c.channel == channel)
        with reading(self.engine) as connection:
            rows = connection.execute(query.limit(limit)).mappings()
            return [Preview(**row) for row in rows]

    def preview(self, action_key: str) -> Preview | None:
        """The preview of one action, by its row's key or its own."""
        is_shown = actions.c.destination == PREVIEW
        own = select(actions.c.due_key).where(actions.c.action_key == action_key, is_shown)
        with reading(self.engine) as connection:
            for key in (action_key, own.scalar_subquery()):
                query = select(previews).where(previews.c.action_key == key)
                if row := connection.execute(query).mappings().first():
                    return Preview(**row)
        return None

    def actions_changed_since(self, cursor: str | None = None, batch: int = 5_000) -> Iterator[Changes]:
        """Batches of rows written since a cursor (None: all), each with the next cursor to store.

        A row has the columns that the warehouse gets; `payload` is a dict, times are aware UTC. A row's number is that
        of the write that touched it last, and numbers rise in the order of commits: ties and slow writers cost no row.
        A row that changes while this runs comes again with its newer state.
        """
        columns = [actions.c[name] for name in _PUBLISHED]
        place = cursor
        while True:
            query = select(*columns, actions.c.change_number).order_by(
                actions.c.change_number, actions.c.action_key
            )
            if place:
                number, key = place.split(":", 1)
                same = and_(actions.c.change_number == int(number), actions.c.action_key > key)
                query = query.where(or_(actions.c.change_number > int(number), same))
            with reading(self.engine) as connection:
                rows = [dict(row) for row in connection.execute(query.limit(batch)).mappings()]
            if not rows:
                return
            place = f"{rows[-1]['change_number']}:{rows[-1]['action_key']}"
            for row in rows:
                del row["change_number"]
                row["payload"] = decode_json(row["payload"])
            yield Changes(rows, place)

    def why_waiting(
        self, unsettled: Iterable[Action], settings: IntegrationSettings
    ) -> dict[str, WaitReason]:
        """Why actions are not done yet, by key; nothing for those that are settled."""
        waiting = [action for action in unsettled if action.status in UNSETTLED]
        if not waiting:
            return {}
        pauses = self._pauses()
        switched_off = {
            problem.key: problem
            for problem in open_problems(self.engine)
            if problem.key.startswith("paused:")
        }
        contacts = self._open_contacts() if any(action.parent_key for action in waiting) else set()
        reasons = {}
        for action in waiting:
            pause = pauses.get((action.channel, action.destination))
            problem = switched_off.get(f"paused:{action.channel}")
            if pause:
                reason = _stopped(pause, stop_remedy(action.channel, settings))
            elif problem:
                reason = WaitReason(problem.headline, problem.details, remedy=problem.remedy)
            elif action.status == RETRYING and action.next_attempt_at is not None:
                reason = WaitReason("it failed", action.last_error or "", action.next_attempt_at)
            elif action.parent_key in contacts:
                reason = WaitReason(f"{action.parent_key} goes first")
            else:
                reason = WaitReason("the next pass sends it: aftercall up, or aftercall run")
            reasons[action.action_key] = reason
        return reasons

    def waiting(self) -> list[Waiting]:
        """How many actions wait at each destination, and why."""
        pauses = self._pauses()
        group = (actions.c.channel, actions.c.destination)
        is_retrying = actions.c.status == RETRYING
        query = (
            select(
                *group,
                func.count(),
                func.count().filter(is_retrying),
                func.min(actions.c.next_attempt_at).filter(is_retrying),
                func.max(actions.c.last_error).filter(is_retrying),
            )
            .where(actions.c.status.in_(UNSETTLED))
            .group_by(*group)
            .order_by(*group)
        )
        with reading(self.engine) as connection:
            rows: Sequence[Any] = connection.execute(query).all()
        sums = []
        for channel, destination, count, failed, next_attempt_at, error in rows:
            reason = "the next pass sends them: aftercall up, or aftercall run"
            if pause := pauses.get((channel, destination)):
                reason = str(_stopped(pause))
            elif failed and next_attempt_at is not None:
                next_try = f"{failed} failed, and the next of them is tried at {_at(next_attempt_at)}"
                reason = f"{next_try}; one of the errors: {error}"
            sums.append(Waiting(channel, destination, count, reason))
        return sums

    def _open_contacts(self) -> set[str]:
        """Keys of contacts that have no record yet and are still to be done; their notes wait for them."""
        is_open = and_(actions.c.external_id.is_(None), actions.c.status.in_(UNSETTLED))
        query = select(actions.c.action_key).where(actions.c.kind == "contact", is_open)
        with reading(self.engine) as connection:
            return set(connection.execute(query).scalars())

    def _actions(self, query: Select[Any]) -> list[Action]:
        with reading(self.engine) as connection:
            return [as_action(row) for row in connection.execute(query).mappings()]

    def _pauses(self) -> dict[tuple[str, str], Pause]:
        return {(pause.channel, pause.destination): pause for pause in all_pauses(self.engine)}


def _stopped(pause: Pause, remedy: str = "") -> WaitReason:
    return WaitReason(f"{pause.destination} has stopped", pause.reason, pause.until, remedy)


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
