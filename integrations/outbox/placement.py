"""Which rows an action has: one for each destination that its routes name. Only decides.

The first destination's row has the action's own key, a further one `<key>@<destination>`. A row whose record exists
stays where the record is. One that has made nothing yet follows the configuration; a preview has made nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations.outbox.keys import row_key
from integrations.outbox.models import DueAction
from integrations.outbox.previews import NAME as PREVIEW
from integrations.outbox.schema import DEAD, SENT, SKIPPED

NOT_ROUTED = "goes to another destination now"
"""The reason of a skip: the configuration names other destinations, and nothing was made here."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Places:
    """Where the rows of one action belong: destinations that want a row, and by row key what to do with the others."""

    new: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()


def facts_of(action: DueAction) -> dict[str, Any]:
    """What a route may ask of an action; see `integrations.routes.FACTS`."""
    told = action.payload
    return {
        "kind": action.kind,
        "source": action.source,
        "queue": action.facts.get("queue", told.get("queue")),
        "agent": action.facts.get("agent", told.get("agent_id")),
        "vip": action.facts.get("vip", told.get("is_vip")),
        "priority": action.facts.get("priority", told.get("priority")),
        "issue_type": action.facts.get("issue_type", told.get("issue_type")),
        "template": told.get("template"),
        "language": told.get("language"),
        "slack_channel": told.get("slack_channel"),
    }


def place(due_key: str, kind: str, wanted: Sequence[str], rows: Sequence[Row]) -> Places:
    """Where the rows of one action go.

    A contact gets a row wherever one is missing, because notes will hang on it and it is looked up by its phone. Every
    other action is made at a destination that is new to it only while it has been made nowhere: a changed setting must
    not make a second ticket of an old one.
    """
    own_key = row_key(due_key, "", is_first=True)
    missing = [name for name in wanted if name not in {row["destination"] for row in rows}]
    moved: dict[str, str] = {}
    dropped: set[str] = set()
    for row in rows:
        if is_made(row) or row["status"] in (DEAD, SENT, SKIPPED) or row["destination"] in wanted:
            continue
        if row["action_key"] == own_key and missing:
            moved[own_key] = missing.pop(0)
        else:
            dropped.add(row["action_key"])
    is_nowhere = not any(is_made(row) or row["status"] == SENT for row in rows)
    is_open = not rows or any(row["status"] not in (DEAD, SENT, SKIPPED) for row in rows)
    may_add = kind == "contact" or (is_nowhere and is_open)
    return Places(tuple(missing) if may_add else (), moved, frozenset(dropped))


def is_made(row: Row) -> bool:
    """Whether a record exists in a system; what a preview kept is none."""
    return row["external_id"] is not None and row["destination"] != PREVIEW
