"""What a platform lists, into `raw.listed_calls`: asked while the warehouse is closed, loaded when it is open.

A run that was killed leaves a package of dlt's, which the next one loads first; half loaded, it is asked for again.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.load.tables import columns_for_dlt, ensure_tables
from orchestration.recovery.api_client import list_source, told_plainly
from orchestration.recovery.config import RecoverySettings
from orchestration.recovery.platform import EVER, Bounds, Platform
from orchestration.warehouse import open_warehouse
from receiver.envelope import body_id, safe_id, safe_text
from receiver.sources import SOURCES
from receiver.sources.base import mapping

RESOURCE: dict[str, Any] = {
    "name": "listed_calls",
    "primary_key": "call_key",
    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
    "columns": columns_for_dlt("listed_calls"),
}
_CLOCKS_APART = timedelta(days=1)


def list_calls(
    settings: OrchestrationSettings,
    recovery: RecoverySettings,
    platform: Platform,
    bounds: Bounds,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Ask for the calls within bounds and load them; how many there were. `progress` gets the count so far.

    Raises RecoveryFailed, and WarehouseBusy when another process writes for too long.
    """
    counted = 0
    now, grace = datetime.now(UTC), timedelta(minutes=recovery.recovery_grace_minutes)

    def row(call: Any) -> dict[str, Any]:
        nonlocal counted
        counted += 1
        progress(counted)
        return row_of(platform, mapping(call), now, grace)

    waiting = pipeline.pipeline(settings, f"recovery_{platform.name}")
    _load_rest(settings, waiting)
    if bounds.is_open and _has_listed_before(waiting, platform):
        # dlt looks back no further than the first beginning, which a pause may have left behind
        bounds = replace(bounds, since=EVER)
    with told_plainly(platform):
        waiting.extract(list_source(platform, recovery, bounds, row, RESOURCE))
    _load_rest(settings, waiting)
    return counted


def row_of(platform: Platform, call: dict[str, Any], now: datetime, grace: timedelta) -> dict[str, Any]:
    """The row of a listed call. A digest identifies a call without an id, which cannot be compared.

    No event is expected yet of a call that ended within the grace. A creation time in the future counts as unknown:
    the next listing begins at the newest time, and would begin there.
    """
    seen = platform.seen(call)
    stored = json.dumps({name: value for name, value in call.items() if name not in platform.heavy})
    call_id = safe_id(seen.call_id)
    is_past = seen.created_at is not None and seen.created_at <= now + _CLOCKS_APART
    created_at = seen.created_at if is_past else None
    is_settled = seen.is_over and (seen.ended_at or now - grace) <= now - grace
    return {
        "call_key": f"{platform.name}:{call_id or body_id(platform.name, stored.encode())}",
        "source": platform.name,
        "call_id": call_id,
        "created_at": _naive(created_at),
        "ended_at": _naive(seen.ended_at),
        "is_over": seen.is_over,
        "expected_events": ",".join(_events(platform, call)) if is_settled and call_id else "",
        "call": stored,
        "listed_at": _naive(now),
    }


def _events(platform: Platform, call: dict[str, Any]) -> Iterator[str]:
    """The types of the events that the platform's webhooks must have brought, as the receiver names them."""
    for body in platform.bodies(call):
        event_type = safe_text(SOURCES[platform.name].facts(body, {}).event_type)
        if event_type is not None:
            yield event_type


def _has_listed_before(waiting: Any, platform: Platform) -> bool:
    """Whether dlt remembers the newest call of an open listing."""
    source = waiting.state.get("sources", {}).get(f"listed_{platform.name}", {})
    cursors = source.get("resources", {}).get(RESOURCE["name"], {}).get("incremental", {})
    return cursors.get("created_at", {}).get("last_value") is not None


def _load_rest(settings: OrchestrationSettings, waiting: Any) -> None:
    """Load what was extracted, also by a run before this; the network is not needed any more.

    What that run had half loaded is forgotten, to be listed again.
    """
    if waiting.has_pending_data:
        with open_warehouse(settings).writing():
            pipeline.forget_half_loaded(waiting)
            ensure_tables(settings)
            waiting.normalize()
            waiting.load()


def _naive(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None
