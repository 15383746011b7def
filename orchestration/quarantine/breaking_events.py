"""Which events alone break the build, found out by builds of copies; they are set aside so that the rest goes on.

Nothing is set aside for a failure that no event causes (a full disk, a fault in the project): every event found must
break a build, and without all of them the rest must build. Moving events belongs to `moves.py`.
"""

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from orchestration.config import OrchestrationSettings
from orchestration.load.tables import EVENTS, ensure_tables
from orchestration.quarantine import moves
from orchestration.warehouse import WarehouseError, built, dbt, open_warehouse, scratch
from orchestration.warehouse.memory import LARGEST_LIMIT, ran_out_of_memory

LOG = logging.getLogger("aftercall.breaking_events")
MOST_EVENTS = 32
"""Most events of one build that are set aside; more of them are a fault of the project, not of an event."""
MOST_BUILDS = 400
"""Builds of copies after which the search gives up."""
MOST_SUSPECTS = 200_000
"""Most new events that are copied for a search."""
_ALL_BAD = 8
_REASON_LIMIT = 300
_NOT_BUILT = f"""
select event_key, source, call_id from {EVENTS}
where $mark::timestamp is null or loaded_at > $mark::timestamp
order by loaded_at, received_at, event_key
"""  # noqa: S608 - constants only
_COPY = f"""
create table events as
with
    suspects as (select unnest($keys) as event_key),
    calls as (
        select distinct source, call_id from production.{EVENTS}
        where event_key in (select event_key from suspects) and call_id is not null
    )
select events.*, events.event_key not in (select event_key from suspects) as is_built
from production.{EVENTS} as events
left join calls on events.source = calls.source and events.call_id = calls.call_id
where calls.call_id is not null or events.event_key in (select event_key from suspects)
"""  # noqa: S608 - constants only
_INSERT = f"""
insert into {EVENTS} by name
select * exclude (is_built) from copied.events
where is_built or event_key in (select unnest($keys))
"""  # noqa: S608 - constants only
_ENVIRONMENT = re.compile(r"No space left|IO Error|Could not set lock|Permission denied|Interrupted", re.I)
_NODE = re.compile(r"^(?:model|test|seed)\.\S+")

Failure = str | None
"""Why a build failed; None when it succeeded."""


@dataclass(frozen=True)
class Suspect:
    """An event that no successful build has seen, and the call it belongs to."""

    event_key: str
    call: tuple[str, str | None]


class CannotTell(Exception):
    """No event can be blamed; the message says why."""


def set_aside(settings: OrchestrationSettings, *ways: Sequence[str]) -> list[str]:
    """Find and set aside the events that break `dbt build`; their keys, none if no event does.

    `ways` are the arguments of the builds to try, the quickest first; a later one is tried if no event breaks an
    earlier one. Each takes about as many builds per event as the new events can be halved. Raises WarehouseBusy.
    """
    with open_warehouse(settings).writing():
        suspects, reasons = _suspects(settings), dict[str, str]()
        if not 0 < len(suspects) <= MOST_SUSPECTS:
            return []
        try:
            with _copies(settings, suspects) as build_of:
                for arguments in ways:
                    reasons = reasons or find(suspects, partial(build_of, arguments))
        except (CannotTell, OSError, WarehouseError, dbt.BuildFailed) as error:
            LOG.warning("no event is set aside for the failed build: %s", error)
            return []
        if reasons:
            moves.set_aside(settings, reasons)
            LOG.error("%d events break the build and are set aside: aftercall quarantine list", len(reasons))
    return list(reasons)


def find(suspects: Sequence[Suspect], build_of: Callable[[Sequence[Suspect]], Failure]) -> dict[str, str]:
    """The events without which the rest builds, each with the reason; none if all of them build.

    `build_of` builds some of the suspects, in their order, with all that was built before. Looks for the shortest
    beginning of the list that fails: its last event is to blame. Raises CannotTell.
    """
    left, builds, reasons = list(suspects), 0, dict[str, str]()

    def failure_of(some: Sequence[Suspect]) -> Failure:
        nonlocal builds
        builds += 1
        if builds > MOST_BUILDS:
            raise CannotTell(f"{MOST_BUILDS} builds did not find the events that break it")
        failure = build_of(some)
        if failure is not None and _ENVIRONMENT.search(failure):
            raise CannotTell(failure)
        return failure

    if (failure := failure_of([])) is not None:
        raise CannotTell(f"without any new event it fails too: {failure}")
    good = 0
    while (failure := failure_of(left)) is not None:
        if len(reasons) == MOST_EVENTS:
            raise CannotTell(f"more than {MOST_EVENTS} events break it")
        if len(reasons) == _ALL_BAD and not good:
            raise CannotTell("every event breaks it")
        bad = len(left)
        while bad - good > 1:
            middle = (good + bad) // 2
            shorter = failure_of(left[:middle])
            if shorter is None:
                good = middle
            else:
                bad, failure = middle, shorter
        if failure_of(left[:bad]) is None:
            raise CannotTell(f"the same events built at a second try: {failure}")
        blamed = left.pop(bad - 1)
        if ran_out_of_memory(failure):  # many events may take all memory together, and none is to blame
            of_its_call = [one for one in left[: bad - 1] if one.call == blamed.call]
            if failure_of([*of_its_call, blamed]) is None:
                raise CannotTell("the new events take more memory together than there is")
        reasons[blamed.event_key] = short_reason(failure)
    return reasons


def short_reason(failure: str) -> str:
    """Which node failed and how, without values of the event: these may be personal."""
    node = _NODE.search(failure)
    kind = re.search(r"[A-Z][A-Za-z ]{2,40} Error(?=:)", failure.replace("Runtime Error in", "", 1))
    what = kind.group(0) if kind else "error" if "Error" in failure else "data test failed"
    return f"{node.group(0).rstrip(':') if node else 'the build'}: {what}"[:_REASON_LIMIT]


def _suspects(settings: OrchestrationSettings) -> list[Suspect]:
    """Events that no successful build has seen, in the order in which they were loaded and received."""
    noted = built.read(settings)
    with open_warehouse(settings).connect() as connection:
        rows = connection.rows(_NOT_BUILT, {"mark": noted.loaded_at if noted is not None else None})
    return [Suspect(key, (source, call_id)) for key, source, call_id in rows]


@contextmanager
def _copies(
    settings: OrchestrationSettings, suspects: Sequence[Suspect]
) -> Iterator[Callable[[Sequence[str], Sequence[Suspect]], Failure]]:
    """A function that builds some of the suspects, in a warehouse of its own below `trial/` in the home.

    It takes the arguments of `dbt build` first.
    """
    folder = settings.home / "trial"
    shutil.rmtree(folder, ignore_errors=True)  # what a killed search left
    (folder / "dbt").mkdir(parents=True)
    roomy = settings.model_copy(update={"duckdb_memory": LARGEST_LIMIT})
    trial, empty, events = (
        scratch.scratch_settings(roomy, folder / name) for name in ("", "empty", "events")
    )
    try:
        parsed = settings.dbt_target / "dagster"
        if parsed.is_dir():  # the project as it was parsed, which knows no address
            (trial.dbt_target / "dagster").symlink_to(parsed.resolve())
        _copy_events(settings, events, suspects)
        ensure_tables(trial)
        dbt.invoke(trial, ["build", "--full-refresh", "--exclude-resource-type", "test", "unit_test"])
        scratch.copy(trial, empty)

        def build_of(arguments: Sequence[str], some: Sequence[Suspect]) -> Failure:
            scratch.copy(empty, trial)
            _insert(trial, events, [one.event_key for one in some])
            try:
                dbt.invoke(trial, ["build", *arguments])
            except dbt.BuildFailed as error:
                return str(error)
            return None

        yield build_of
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_events(
    settings: OrchestrationSettings, events: OrchestrationSettings, suspects: Sequence[Suspect]
) -> None:
    """Copy the suspects, and all other events of their calls as `is_built`, to a warehouse of their own."""
    events.home.mkdir()
    with open_warehouse(events).connect(read_only=False) as connection:
        connection.execute(open_warehouse(settings).attach_statement("production"))
        connection.execute(_COPY, {"keys": [one.event_key for one in suspects]})


def _insert(trial: OrchestrationSettings, events: OrchestrationSettings, keys: list[str]) -> None:
    with open_warehouse(trial).connect(read_only=False) as connection:
        connection.execute(open_warehouse(events).attach_statement("copied"))
        connection.execute(_INSERT, {"keys": keys})
