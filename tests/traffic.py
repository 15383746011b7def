"""Traffic with the results that the rules give for it, computed without the dbt project.

The recorded dialogues are used where they lie beside the checkout, and simulated calls anywhere else.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.simulator.calls import Call
from orchestration.simulator.oracle import expect, facts
from orchestration.simulator.simulate import planned, simulate

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "calls"
_SIMULATED: tuple[int, int, datetime] = (300, 11, datetime(2026, 11, 2, 8, tzinfo=UTC))


@dataclass(frozen=True)
class Traffic:
    """A recording for `aftercall replay`; totals by name; what is known of each call by name."""

    file: Path
    totals: dict[str, Any]
    calls: list[dict[str, Any]]

    def parts(self, folder: Path, count: int, *, in_reverse: bool = False) -> list[str]:
        """The same deliveries, in order or the last first, as `count` files in a folder."""
        lines = self.file.read_bytes().splitlines(keepends=True)[:: -1 if in_reverse else 1]
        size = -(-len(lines) // count)
        files = [folder / f"{number}.ndjson" for number in range(count)]
        for number, file in enumerate(files):
            file.write_bytes(b"".join(lines[number * size : (number + 1) * size]))
        return [str(file) for file in files]


def recorded() -> Traffic | None:
    """A thousand recorded calls; None where they are not beside the checkout."""
    if not RECORDED.is_dir():
        return None
    expected = json.loads((RECORDED / "sgd.expected.json").read_text(encoding="utf-8"))
    return Traffic(RECORDED / "sgd.ndjson", expected["summary"], expected["calls"])


def simulated(folder: Path) -> Traffic:
    """Three hundred simulated calls, recorded in a folder."""
    file = folder / "simulated.ndjson"
    with file.open("w", encoding="utf-8") as lines:
        for delivery in simulate(*_SIMULATED):
            entry = {
                "source": delivery.source,
                "sent_at": delivery.at.isoformat(),
                "body": json.loads(delivery.body),
            }
            lines.write(json.dumps(entry) + "\n")
    calls = list(planned(*_SIMULATED))
    total = expect(calls)
    return Traffic(
        file,
        {
            "calls": total.calls,
            "distinct_events": total.events,
            "started": total.started,
            "analysed": total.analysed,
            "total_turns": total.turns,
            "customers": total.crm_contacts,
            "by_resolved": {
                "True": total.resolved,
                "False": total.unresolved,
                "None": total.calls - total.resolved - total.unresolved,
            },
            "tickets": total.tickets,
            "emails": total.emails,
            "emails_without_address": total.emails_without_address,
            "slack": total.slack,
            "crm_contacts": total.crm_contacts,
            "crm_notes": total.crm_notes,
            "crm_tasks": total.crm_tasks,
        },
        list(_known(calls)),
    )


def _known(calls: list[Call]) -> Iterator[dict[str, Any]]:
    for call in calls:
        known = facts(call)
        yield {
            "call_id": known.call_id,
            "customer_phone": known.phone,
            "satisfaction": known.satisfaction,
            "resolved": known.is_resolved,
            "vip": known.is_vip,
            "transferred": known.is_transfer_requested,
            "follow_up": known.needs_follow_up,
            "has_start": call.has_start,
            "has_analytics": call.has_analytics,
        }
