"""Putting due actions into the ledger, set by set, in one transaction: a kill leaves all of it or nothing.

Only reading, asking `deciding` and writing. Nothing is sent from here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Engine, bindparam, insert, select, update

from integrations.config import IntegrationSettings
from integrations.outbox import payloads
from integrations.outbox.deciding import Verdict, decide_known, decide_new
from integrations.outbox.engine import Write, writing
from integrations.outbox.records import DueAction, FillReport
from integrations.outbox.schema import actions

# Bound variables per statement: well under SQLite's 32,766 and Postgres's 65,535.
SET_SIZE = 1_000

_WRITTEN = (
    "parent_key", "source", "call_id", "payload", "payload_hash", "due_at", "status", "last_error",
    "failures", "next_attempt_at", "updated_at", "change_number",
)  # fmt: skip
_UPDATE = (
    update(actions)
    .where(actions.c.action_key == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _WRITTEN})
)
_KNOWN = (
    "action_key", "payload_hash", "status", "failures", "next_attempt_at", "last_error", "given_up_by",
    "sent_at", "due_at",
)  # fmt: skip


def fill(
    engine: Engine, rows: Iterable[DueAction], now: datetime, settings: IntegrationSettings
) -> FillReport:
    """Insert what is new, change what changed, leave the rest; of equal keys the last counts."""
    with writing(engine) as write:
        return fill_in(write, rows, now, settings)


def fill_in(
    write: Write, rows: Iterable[DueAction], now: datetime, settings: IntegrationSettings
) -> FillReport:
    """The same, as a part of a transaction that writes more."""
    verdicts: Counter[Verdict] = Counter()
    for batch in _batches(rows, SET_SIZE):
        verdicts.update(_fill_set(write, {row.action_key: row for row in batch}, now, settings))
    return FillReport(
        created=verdicts[Verdict.CREATED],
        updated=verdicts[Verdict.UPDATED],
        unchanged=verdicts[Verdict.UNCHANGED],
        skipped=verdicts[Verdict.SKIPPED],
    )


def _batches(rows: Iterable[DueAction], size: int) -> Iterator[Sequence[DueAction]]:
    iterator = iter(rows)
    while batch := tuple(islice(iterator, size)):
        yield batch


def _fill_set(
    write: Write, rows: dict[str, DueAction], now: datetime, settings: IntegrationSettings
) -> Counter[Verdict]:
    columns = [actions.c[name] for name in _KNOWN]
    found = write.connection.execute(select(*columns).where(actions.c.action_key.in_(rows)))
    known = {row["action_key"]: dict(row) for row in found.mappings()}
    new, changed, verdicts = [], [], Counter[Verdict]()
    for key, action in rows.items():
        text, digest = payloads.encode(action.payload)
        row = known.get(key)
        decision = (
            decide_known(action, digest, row, now, settings) if row else decide_new(action, now, settings)
        )
        verdicts[decision.verdict] += 1
        if decision.verdict is Verdict.UNCHANGED:
            continue
        values = {
            "parent_key": _parent(action),
            "source": action.source,
            "call_id": action.call_id,
            "payload": text,
            "payload_hash": digest,
            "due_at": action.due_at or (row["due_at"] if row else None),
            "updated_at": now,
            "change_number": write.number,
            **decision.values,
        }
        if row:
            changed.append({"key": key} | {f"new_{name}": value for name, value in values.items()})
        else:
            new.append(values | _identity(action, now, settings))
    if new:
        write.connection.execute(insert(actions), new)
    if changed:
        write.connection.execute(_UPDATE, changed)
    return verdicts


def _identity(action: DueAction, now: datetime, settings: IntegrationSettings) -> dict[str, Any]:
    return {
        "action_key": action.action_key,
        "channel": action.channel,
        "kind": action.kind,
        "destination": settings.destination_of(action.channel),
        "attempts": 0,
        "external_id": None,
        "given_up_by": None,
        "created_at": now,
        "sent_at": None,
    }


def _parent(action: DueAction) -> str | None:
    # notes and tasks are on the contact, whose key is the phone.
    on_contact = action.channel == "crm" and action.kind in ("note", "task")
    return f"contact:{action.payload.get('phone')}" if on_contact else None
