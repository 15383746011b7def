"""Events that are set aside, as the load and the alerts see them: their keys, and a notice of them in a file.

Moving events into `raw.quarantined_events` and back belongs to `orchestration/quarantine/`.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestration.config import OrchestrationSettings
from orchestration.load.tables import EVENTS, QUARANTINED
from orchestration.warehouse import RelationMissing, open_warehouse

_LISTED = f"""
select
    event_key, source, call_id, event_type, strlen(payload::varchar), received_at::varchar, reason,
    quarantined_at::varchar
from {QUARANTINED}
order by quarantined_at, received_at, event_key
"""  # noqa: S608 - constants only


@dataclass(frozen=True)
class QuarantinedEvent:
    """An event that is set aside: what it is, its size in bytes, why and when; times are text, UTC."""

    event_key: str
    source: str
    call_id: str | None
    event_type: str | None
    size: int
    received_at: str
    reason: str
    quarantined_at: str


def quarantined_events(settings: OrchestrationSettings) -> list[QuarantinedEvent]:
    """All events that are set aside, the first one first. Call inside `Warehouse.writing`."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return []
    with warehouse.connect() as connection, suppress(RelationMissing):
        return [QuarantinedEvent(*row) for row in connection.rows(_LISTED)]
    return []


def sweep(settings: OrchestrationSettings) -> None:
    """Take out of the event log what a load brought although it is set aside. Call inside `Warehouse.writing`.

    A load leaves such events out itself, but not those of a package that it prepared before.
    """
    with open_warehouse(settings).connect(read_only=False) as connection:
        connection.execute(
            f"delete from {EVENTS} where event_key in (select event_key from {QUARANTINED})"  # noqa: S608
        )


def write_notice(settings: OrchestrationSettings, events: list[QuarantinedEvent]) -> None:
    """Write what is set aside to a file, for those who must not open the warehouse."""
    file = _notice(settings)
    if not events:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(json.dumps([asdict(event) for event in events]), encoding="utf-8")
    written.replace(file)


def noticed(settings: OrchestrationSettings) -> list[QuarantinedEvent]:
    """What was set aside when the notice was written. Opens no warehouse and waits for nothing."""
    try:
        entries: list[dict[str, Any]] = json.loads(_notice(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [QuarantinedEvent(**entry) for entry in entries]


def _notice(settings: OrchestrationSettings) -> Path:
    return settings.dbt_target / "quarantine.json"
