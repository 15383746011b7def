"""Which destinations an action goes to: it has one row per destination that its routes name. Only decides.

The first destination's row has the action's own key, a further one `<key>@<destination>`. A row whose record exists
stays where the record is. Any other row follows the configuration; a preview is not a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations.outbox.keys import row_key
from integrations.outbox.models import Action, DueAction
from integrations.outbox.schema import DEAD, PREVIEW, SENT, SKIPPED

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Places:
    """Where the rows of one action belong: destinations that want a row, and by row key what to do with the others."""

    new: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()


def facts_of(action: DueAction | Action) -> dict[str, Any]:
    """What a route may ask of an action; see `integrations.routes.FACTS`."""
    payload = action.payload
    return {
        "kind": action.kind,
        "source": action.source,
        "queue": action.facts.get("queue", payload.get("queue")),
        "agent": action.facts.get("agent", payload.get("agent_id")),
        "vip": action.facts.get("vip", payload.get("is_vip")),
        "priority": action.facts.get("priority", payload.get("priority")),
        "issue_type": action.facts.get("issue_type", payload.get("issue_type")),
        "template": payload.get("template"),
        "language": payload.get("language"),
        "slack_channel": payload.get("slack_channel"),
    }


def place(due_key: str, kind: str, wanted: Sequence[str], rows: Sequence[Row]) -> Places:
    """Where the rows of one action go.

    A contact gets a row wherever one is missing, because notes will hang on it and it is looked up by its phone. Every
    other action goes to a destination that is new to it only while it has no record anywhere: a changed setting must
    not create a second ticket for an old call.
    """
    own_key = row_key(due_key, "", is_first=True)
    missing = [name for name in wanted if name not in {row["destination"] for row in rows}]
    moved: dict[str, str] = {}
    dropped: set[str] = set()
    for row in rows:
        if has_record(row) or row["status"] in (DEAD, SENT, SKIPPED) or row["destination"] in wanted:
            continue
        if row["action_key"] == own_key and missing:
            moved[own_key] = missing.pop(0)
        else:
            dropped.add(row["action_key"])
    is_nowhere = not any(has_record(row) or row["status"] == SENT for row in rows)
    is_open = not rows or any(row["status"] not in (DEAD, SENT, SKIPPED) for row in rows)
    may_add = kind == "contact" or (is_nowhere and is_open)
    return Places(tuple(missing) if may_add else (), moved, frozenset(dropped))


def has_record(row: Row) -> bool:
    """True if a record exists in a system; a stored preview is none."""
    return row["external_id"] is not None and row["destination"] != PREVIEW
