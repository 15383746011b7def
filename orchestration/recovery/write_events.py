"""Landing what is missing: webhook bodies out of what the API says, by the landing store's own writer.

The id of a recovered event is `recovered:<source>:<event type>:<call id>`, so that recovering twice lands nothing
twice. What a webhook looks like belongs to the platform's file.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from orchestration.config import OrchestrationSettings
from orchestration.recovery.api_client import details
from orchestration.recovery.config import RecoverySettings
from orchestration.recovery.platform import MARK, Platform
from orchestration.recovery.reconciliation import Missing
from receiver.config import ReceiverSettings
from receiver.envelope import believed, line, safe_text, seal
from receiver.landing import LandingStore, open_landing
from receiver.sources import SOURCES
from receiver.sources.base import mapping

BATCH = 20
"""Calls landed at once: as many are asked for again at most after a kill."""


def land(
    settings: OrchestrationSettings,
    recovery: RecoverySettings,
    platform: Platform,
    missing: Sequence[Missing],
    since: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """The number of events landed, after asking for each call in full. `progress` gets the calls done so far.

    `since`: the time that counts for a call without one.

    A call whose detail the API no longer has lands as the list had it. Raises RecoveryFailed when the
    API cannot be asked to the end, and LandingUnavailable; what was landed until then stays.
    """
    store = open_landing(settings.landing, min_free_bytes=ReceiverSettings().landing_min_free_bytes)
    landed = done = 0
    waiting: list[tuple[Missing, dict[str, object]]] = []

    def flush() -> None:
        nonlocal landed, done
        landed += _append(store, platform, waiting, since)
        done += len(waiting)
        waiting.clear()
        progress(done)

    try:
        for call in _in_full(recovery, platform, missing):
            waiting.append(call)
            if len(waiting) >= BATCH:
                flush()
    finally:
        try:
            flush()
        finally:
            store.close()
    return landed


def _in_full(
    recovery: RecoverySettings, platform: Platform, missing: Sequence[Missing]
) -> Iterator[tuple[Missing, dict[str, object]]]:
    """Each call in full: its detail, and the fields that only the list has."""
    wanted = {one.call_id: one for one in missing}
    if platform.detail is not None:
        for call_id, detail in details(platform, recovery, list(wanted)):
            one = wanted.pop(call_id)
            fields = {name: value for name, value in detail.items() if value is not None}
            yield one, {**mapping(json.loads(one.call)), **fields}
    for one in wanted.values():
        yield one, mapping(json.loads(one.call))


def _append(
    store: LandingStore,
    platform: Platform,
    calls: Sequence[tuple[Missing, dict[str, object]]],
    since: datetime,
) -> int:
    now = datetime.now(UTC)
    lines = [line for one, call in calls for line in lines_of(platform, one, call, since, now)]
    if lines:
        store.append(lines)
    return len(lines)


def lines_of(
    platform: Platform, missing: Missing, call: dict[str, object], since: datetime, now: datetime
) -> Iterator[bytes]:
    """Landing lines of the missing events of one call.

    An event always has a time: the body's own, else the end of the call as listed, else `since`. A time more than a day
    after `now` is none. An event without a time would count as of today, and act.
    """
    for body in platform.bodies(call):
        facts = SOURCES[platform.name].facts(body, {})
        event_type = safe_text(facts.event_type)
        if event_type not in missing.event_types:
            continue
        whole = replace(
            facts,
            event_id=f"{MARK}:{platform.name}:{event_type}:{missing.call_id}",
            call_id=missing.call_id,
            occurred_at=believed(facts.occurred_at, now) or believed(missing.ended_at, now) or since,
        )
        sent = json.dumps(body, separators=(",", ":")).encode()
        yield line(seal(platform.name, whole, sent, now), sent)
