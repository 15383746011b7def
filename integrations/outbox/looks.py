"""When somebody last looked for problems, and what that look has to leave for the next one and for the board.

One value of the ledger's watermarks, as JSON. What a problem is belongs to `problems`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, insert, select, update

from integrations.outbox.engine import reading, writing
from integrations.outbox.models import Finding
from integrations.outbox.schema import watermarks

NAME = "problems:last_look"


@dataclass(frozen=True)
class Look:
    """A look for problems.

    Args:
        at: when it was, UTC.
        next_tries: of the problems that aftercall tries again by itself, when that is, by the problem's key.
        notes: what the one who looks wants to know at the next look; any JSON.
    """

    at: datetime
    next_tries: Mapping[str, datetime] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def last_look(engine: Engine) -> Look | None:
    """The last look, or None if there was none."""
    with reading(engine) as connection:
        value = connection.execute(select(watermarks.c.value).where(watermarks.c.name == NAME)).scalar()
    if value is None:
        return None
    try:
        fields = json.loads(value)
        next_tries = {key: datetime.fromisoformat(at) for key, at in fields["next_tries"].items()}
        return Look(datetime.fromisoformat(fields["at"]), next_tries, fields["notes"])
    except (ValueError, KeyError, TypeError, AttributeError):  # of another version of aftercall
        return None


def record_look(engine: Engine, now: datetime, findings: Iterable[Finding], notes: Mapping[str, Any]) -> None:
    """Write down that somebody looked, and when the next tries of what they saw are."""
    next_tries = {
        finding.key: finding.next_try_at.astimezone(UTC).isoformat()
        for finding in findings
        if finding.next_try_at is not None
    }
    fields = {"at": now.astimezone(UTC).isoformat(), "next_tries": next_tries, "notes": dict(notes)}
    value = json.dumps(fields)
    with writing(engine) as write:
        change = update(watermarks).where(watermarks.c.name == NAME).values(value=value)
        if write.connection.execute(change).rowcount == 0:
            write.connection.execute(insert(watermarks).values(name=NAME, value=value))
