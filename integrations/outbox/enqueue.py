"""Putting due actions into the ledger, set by set, in one transaction: a kill leaves all of it or nothing.

Only reading, asking `deciding` and `routing`, and writing. Nothing is sent from here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Engine, bindparam, insert, select, update

from integrations.config import IntegrationSettings
from integrations.outbox import payloads
from integrations.outbox.engine import Write, writing
from integrations.outbox.keys import due_key_of, row_key
from integrations.outbox.limits import Mail, MailLimits, mail_of
from integrations.outbox.models import DueAction, FillReport
from integrations.outbox.placement import NOT_ROUTED, facts_of, place
from integrations.outbox.queue import UNSETTLED
from integrations.outbox.schema import SKIPPED, actions
from integrations.outbox.transitions import EnqueueResult, Transition, decide_known, decide_new, too_many
from integrations.routes import Routes, destinations, routes

# Bound variables per statement: well under SQLite's 32,766 and Postgres's 65,535.
SET_SIZE = 1_000

_WRITTEN = (
    "parent_key", "source", "call_id", "payload", "payload_hash", "facts", "due_at", "status", "last_error",
    "failures", "next_attempt_at", "mailbox", "mail_domain", "updated_at", "change_number",
)  # fmt: skip
_UPDATE = (
    update(actions)
    .where(actions.c.action_key == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _WRITTEN})
)
_KNOWN = (
    "action_key", "due_key", "destination", "external_id", "payload_hash", "status", "failures", "next_attempt_at",
    "last_error", "given_up_by", "sent_at", "due_at", "begun", "mailbox",
)  # fmt: skip


def fill(
    engine: Engine, rows: Iterable[DueAction], now: datetime, settings: IntegrationSettings
) -> FillReport:
    """Insert what is new, change what changed, leave the rest; of equal keys the last counts. Raises BadRoutes."""
    with writing(engine) as write:
        return fill_in(write, rows, now, settings)


def fill_in(
    write: Write,
    rows: Iterable[DueAction],
    now: datetime,
    settings: IntegrationSettings,
    known: Routes | None = None,
) -> FillReport:
    """The same, as a part of a transaction that writes more; by the routes given, if any are."""
    fill_ = _Fill(write, now, settings, known or routes(settings))
    for batch in _batches(rows, SET_SIZE):
        fill_.add({due_key_of(row.action_key): row for row in batch})
    return FillReport(
        created=fill_.verdicts[EnqueueResult.CREATED],
        updated=fill_.verdicts[EnqueueResult.UPDATED],
        unchanged=fill_.verdicts[EnqueueResult.UNCHANGED],
        skipped=fill_.verdicts[EnqueueResult.SKIPPED],
    )


def _batches(rows: Iterable[DueAction], size: int) -> Iterator[Sequence[DueAction]]:
    iterator = iter(rows)
    while batch := tuple(islice(iterator, size)):
        yield batch


class _Fill:
    """One fill: what it has to write of a set, and what became of all of them."""

    def __init__(self, write: Write, now: datetime, settings: IntegrationSettings, known: Routes) -> None:
        self.write, self.now, self.settings, self.routes = write, now, settings, known
        self.limits = MailLimits(write.connection, settings)
        self.verdicts: Counter[EnqueueResult] = Counter()
        self.new: list[dict[str, Any]] = []
        self.changed: list[dict[str, Any]] = []
        self.placed: list[dict[str, Any]] = []

    def add(self, rows: Mapping[str, DueAction]) -> None:
        """Bring the rows of these actions up to date."""
        columns = [actions.c[name] for name in _KNOWN]
        found = self.write.connection.execute(select(*columns).where(actions.c.due_key.in_(rows)))
        known: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in found.mappings():
            known[row["due_key"]].append(dict(row))
        for due_key, action in rows.items():
            text, digest = payloads.encode(action.payload)
            self._add_one(due_key, action, text, digest, known.get(due_key, []))
        if self.new:
            self.write.connection.execute(insert(actions), self.new)
        if self.changed:
            self.write.connection.execute(_UPDATE, self.changed)
        for values in self.placed:
            mine = actions.c.action_key == values.pop("action_key")
            self.write.connection.execute(update(actions).where(mine).values(**values))
        self.new, self.changed, self.placed = [], [], []
        self.limits.forget()

    def _add_one(
        self, due_key: str, action: DueAction, text: str, digest: str, rows: list[dict[str, Any]]
    ) -> None:
        mail = mail_of(action, due_key, self.now)
        wanted = destinations(action.channel, facts_of(action), self.settings, self.routes)
        content = {
            "parent_key": _parent(action),
            "source": action.source,
            "call_id": action.call_id,
            "payload": text,
            "payload_hash": digest,
            "facts": payloads.encode(action.facts)[0] if action.facts else None,
            "mailbox": mail.mailbox if mail else None,
            "mail_domain": mail.domain if mail else None,
            "updated_at": self.now,
            "change_number": self.write.number,
        }
        for row in rows:
            decision = decide_known(action, digest, row, self.now, self.settings)
            if row["last_error"] == NOT_ROUTED and row["destination"] not in wanted:
                decision = Transition(EnqueueResult.UNCHANGED, {})
            elif mail and _begins_to_count(row, mail, decision):
                decision = self._limited(mail, decision)
            self.verdicts[decision.verdict] += 1
            if decision.verdict is not EnqueueResult.UNCHANGED:
                values = content | {"due_at": action.due_at or row["due_at"], **decision.values}
                self.changed.append(
                    {"key": row["action_key"]} | {f"new_{name}": value for name, value in values.items()}
                )
                row |= decision.values
        places = place(due_key, action.kind, wanted, rows)
        self.placed += placed(places.moved, places.dropped, self.now, self.write.number)
        decision = decide_new(action, self.now, self.settings)
        if mail and not rows and decision.verdict is EnqueueResult.CREATED:
            decision = self._limited(mail, decision)
        for name in places.new if not rows or decision.verdict is EnqueueResult.CREATED else ():
            self.verdicts[decision.verdict] += 1
            is_first = not rows and name == places.new[0]
            key = row_key(due_key, name, is_first=is_first)
            fixed = _identity(action, key, due_key, name, self.now)
            self.new.append({**content, **fixed, "due_at": action.due_at, **decision.values})

    def _limited(self, mail: Mail, decision: Transition) -> Transition:
        """The decision, or that the mail is one too many."""
        if not self.limits.allow(mail):
            return too_many(decision)
        self.limits.note(mail)
        return decision


def _begins_to_count(row: Mapping[str, Any], mail: Mail, decision: Transition) -> bool:
    """True if a mail that did not count is to be sent now, or goes to somebody else than before."""
    was_counted = row["status"] in UNSETTLED and row["mailbox"] == mail.mailbox
    return decision.values.get("status") in UNSETTLED and not was_counted


def placed(
    moved: Mapping[str, str], dropped: Iterable[str], now: datetime, number: int
) -> Iterator[dict[str, Any]]:
    """What to write of rows that go to another destination, or nowhere any more."""
    written = {"updated_at": now, "change_number": number}
    for key, destination in moved.items():
        yield {
            "action_key": key,
            "destination": destination,
            "external_id": None,
            "stopped_at": None,
            **written,
        }
    for key in dropped:
        skipped = {"status": SKIPPED, "last_error": NOT_ROUTED, "failures": 0, "next_attempt_at": None}
        yield {"action_key": key, **skipped, **written}


def _identity(action: DueAction, key: str, due_key: str, destination: str, now: datetime) -> dict[str, Any]:
    return {
        "action_key": key,
        "due_key": due_key,
        "channel": action.channel,
        "kind": action.kind,
        "destination": destination,
        "attempts": 0,
        "external_id": None,
        "given_up_by": None,
        "created_at": now,
        "sent_at": None,
    }


def _parent(action: DueAction) -> str | None:
    # notes and tasks are on the contact, whose key is the phone.
    on_contact = action.channel == "crm" and action.kind in ("note", "task")
    return due_key_of(f"contact:{action.payload.get('phone')}") if on_contact else None
