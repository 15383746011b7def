"""Who may work: claims with a lease on Postgres, a file lock on SQLite. What was done is decided by the tables alone.

On Postgres several dispatchers share an outbox. A chain is what must not be overtaken: a contact with its notes and
tasks, the actions of a call. Who holds a chain tries its actions; everybody else leaves them alone. A claim ends with
its chain, with its process if somebody on the same machine looks, and else with its lease. So a claim can delay an
action and never lose it. Times are those of the database, because the clocks of machines differ. Nothing is claimed on
SQLite: there one process at a time works on a channel, by a lock that dies with it.
"""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Interval, and_, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integrations.config import IntegrationSettings
from integrations.outbox.engine import insistently, is_shared, not_writable, reading, sqlite_path
from integrations.outbox.schema import claims, paces, pauses

_NOW = func.timezone("UTC", func.clock_timestamp())
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Claim(Enum):
    """What became of a wish for a chain."""

    GRANTED = "granted"
    HELD = "another dispatcher works on the chain"
    FULL = "other dispatchers do as much at the destination as it takes"
    STOPPED = "the destination has stopped at another dispatcher"


class Leases:
    """The claims of one pass at one destination. May be used from several threads.

    Args:
        engine: the outbox's engine.
        channel: the channel.
        destination: the destination's name.
        settings: how long a lease lasts.
        clock: the time of the pass, for pauses.
    """

    def __init__(
        self,
        engine: Engine,
        channel: str,
        destination: str,
        settings: IntegrationSettings,
        clock: Callable[[], datetime],
    ) -> None:
        self.engine, self.channel, self.destination, self.clock = engine, channel, destination, clock
        self.is_shared = is_shared(engine)
        self.owner = new_owner() if self.is_shared else ""
        self._length = timedelta(seconds=lease_seconds(settings))
        turnstile = insert(paces).values(channel=channel, destination=destination)
        self._turnstile = turnstile.on_conflict_do_update(
            index_elements=[paces.c.channel, paces.c.destination], set_={"channel": channel}
        )

    def claim(self, chain: str, most: int, *, is_probing: bool = False) -> Claim:
        """Take a chain, if it is free and fewer than `most` chains are under way at the destination."""
        if not self.is_shared:
            return Claim.GRANTED
        return insistently(self.engine, lambda _: self._claim(chain, most, is_probing))

    def _claim(self, chain: str, most: int, is_probing: bool) -> Claim:
        place = {"channel": self.channel, "destination": self.destination}
        with self.engine.begin() as connection:
            # Whoever claims at this destination waits for this row, so what is read below stays true.
            connection.execute(self._turnstile)
            others = and_(self._at(claims), claims.c.chain != chain, claims.c.lease_until > _NOW)
            count = select(func.count()).select_from(claims).where(others).scalar_subquery()
            stopped = select(pauses).where(self._at(pauses), pauses.c.until > self.clock()).exists()
            row = connection.execute(select(count, stopped)).one()
            live, is_stopped = int(row[0] or 0), bool(row[1])
            if is_stopped and not is_probing:
                return Claim.STOPPED
            if live >= most:
                return Claim.FULL
            until = _NOW + bindparam("length", self._length, Interval)
            fresh = insert(claims).values(**place, chain=chain, owner=self.owner, lease_until=until)
            # The lease is tested once more by the statement that locks the row: while it waited for the row,
            # somebody may have claimed the chain.
            free = (claims.c.lease_until <= _NOW) | (claims.c.owner == self.owner)
            take = fresh.on_conflict_do_update(
                index_elements=[claims.c.channel, claims.c.destination, claims.c.chain],
                set_={"owner": self.owner, "lease_until": until},
                where=free,
            ).returning(claims.c.owner)
            return Claim.GRANTED if connection.execute(take).first() else Claim.HELD

    def extended(self, connection: Connection, chains: Iterable[str]) -> set[str]:
        """Renew the leases of these chains; return those that this process still holds."""
        wanted = set(chains)
        if not self.is_shared or not wanted:
            return wanted
        until = _NOW + bindparam("length", self._length, Interval)
        query = update(claims).where(self._own(wanted)).values(lease_until=until).returning(claims.c.chain)
        return set(connection.execute(query).scalars())

    def foreign(self, connection: Connection, chains: Iterable[str]) -> set[str]:
        """Those of the chains that another dispatcher holds, as it took them over from this one."""
        wanted = sorted(set(chains))
        if not self.is_shared or not wanted:
            return set()
        theirs = and_(self._at(claims), claims.c.owner != self.owner, claims.c.chain.in_(wanted))
        return set(connection.execute(select(claims.c.chain).where(theirs)).scalars())

    def let_go(self, connection: Connection, chains: Collection[str]) -> None:
        """Let chains go that are done, within a transaction that marks the last of them."""
        if self.is_shared and chains:
            connection.execute(delete(claims).where(self._own(chains)))

    def release(self, chain: str | None = None) -> None:
        """Let a chain go, or all that this pass holds."""

        def let_go(_: bool) -> None:
            with self.engine.begin() as connection:
                connection.execute(delete(claims).where(self._own(None if chain is None else [chain])))

        if self.is_shared:
            insistently(self.engine, let_go)

    def seconds_until_turn(self, gap: float) -> float:
        """Seconds until the destination's next turn, which is taken; it is `gap` after the one before, whoever's."""
        wanted = func.greatest(paces.c.next_at, _NOW) + bindparam("gap", timedelta(seconds=gap), Interval)
        new = {"channel": self.channel, "destination": self.destination, "next_at": _NOW}
        first = insert(paces).values(**new).on_conflict_do_nothing()
        take = (
            update(paces)
            .where(self._at(paces))
            .values(next_at=wanted)
            .returning(func.extract("epoch", paces.c.next_at - _NOW))
        )

        def turn(_: bool) -> float:
            with self.engine.begin() as connection:
                connection.execute(first)
                return float(connection.execute(take).scalar_one()) - gap

        return insistently(self.engine, turn)

    def _own(self, chains: Iterable[str] | None) -> Any:
        """The claims of this pass on these chains; None: on all."""
        is_own = and_(self._at(claims), claims.c.owner == self.owner)
        return is_own if chains is None else and_(is_own, claims.c.chain.in_(sorted(set(chains))))

    def _at(self, table: Any) -> Any:
        return and_(table.c.channel == self.channel, table.c.destination == self.destination)


def lease_seconds(settings: IntegrationSettings) -> float:
    """How long a claim lasts: the setting, and never less than the longest try of an action may take."""
    longest = max(10 * settings.http_whole_seconds, 2 * settings.smtp_whole_seconds)
    return max(settings.outbox_lease_seconds, longest)


def take_from_the_gone(engine: Engine) -> None:
    """Free what processes of this machine held that run no more, and what leases have ended."""
    if not is_shared(engine):
        return
    with reading(engine) as connection:
        holders: Sequence[str] = connection.execute(select(claims.c.owner).distinct()).scalars().all()
    gone = [owner for owner in holders if is_gone(owner)]
    if gone:
        with engine.begin() as connection:
            connection.execute(delete(claims).where(claims.c.owner.in_(gone)))


@contextmanager
def process_lock(engine: Engine, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the outbox's lock of this name; without `wait`, yields False at once if somebody else has it.

    On Postgres for short work only: a transaction is open meanwhile.
    """
    path = sqlite_path(engine)
    holder = _file_lock(f"{path}.{name}.lock", wait) if path else _advisory_lock(engine, name, wait)
    with holder as held:
        yield held


@contextmanager
def _file_lock(path: str, wait: bool) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise not_writable(path, "its lock file cannot be opened", error.strerror) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def _advisory_lock(engine: Engine, name: str, wait: bool) -> Iterator[bool]:
    number = int.from_bytes(
        hashlib.sha256(f"aftercall outbox {name}".encode()).digest()[:8], "big", signed=True
    )
    # The transaction's, not the session's: a pooler between transactions would hand the session to somebody else.
    take = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with engine.begin() as connection:
        yield connection.execute(text(f"SELECT {take}(:number)"), {"number": number}).scalar() is not False


def new_owner() -> str:
    """A name for one pass: the machine and its process namespace, the process and its start, and a chance part."""
    return f"{_machine()}/{os.getpid()}.{_started(os.getpid())}/{uuid.uuid4().hex[:12]}"


def is_gone(owner: str) -> bool:
    """True if the owner was a process of this machine that runs no more; False if this machine cannot know."""
    machine, _, rest = owner.rpartition("/")[0].rpartition("/")
    pid, _, started = rest.partition(".")
    if machine != _machine() or not machine or not pid.isdecimal() or not started:
        return False
    return _started(int(pid)) != started


@lru_cache(maxsize=1)
def _machine() -> str:
    # Two containers of one machine do not see each other's processes.
    try:
        return f"{_BOOT.read_text().strip()}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in ticks since the boot; empty if there is none, or it has ended already."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A killed process that nobody has waited for yet is still listed.
    return "" if fields[0] in "ZX" else fields[19]
