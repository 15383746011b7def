"""What a warehouse is: where it stands, who may write it now, its connections, and the marts that readers see.

Only the interface, its words and its errors. Engines are files beside this one, and `open_warehouse` chooses among
them. What is in a warehouse belongs to `orchestration/load/` (raw) and `dbt_project/` (everything else).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

RAW, MARTS = "raw", "marts"
"""Schemas: what the loads write, and what is published."""

Values = Sequence[object] | Mapping[str, object] | None
"""Values of a query's `?`, or of its `$names`."""


class WarehouseError(Exception):
    """The warehouse cannot be opened or asked; the message is the engine's where there is nothing better to say."""


class UnknownWarehouse(WarehouseError):
    """The URL names no engine that is supported; the message lists those that are."""


class WarehouseBusy(WarehouseError):
    """Another process held the warehouse, or a lock beside it, for longer than the configured wait."""


class NotPublished(WarehouseError):
    """No copy of the marts was published yet."""


class QueryFailed(WarehouseError):
    """The engine could not carry out a query."""


class RelationMissing(QueryFailed):
    """A query names a schema, table or view that is not there, usually because it is not built yet."""


class Connection(Protocol):
    """A short-lived connection. Its methods raise QueryFailed; RelationMissing is a kind of that."""

    def execute(self, query: str, values: Values = None) -> None:
        """Carry out a statement whose rows nobody wants; without values it may be several, separated by `;`."""
        ...

    def rows(self, query: str, values: Values = None) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        ...

    def records(self, query: str, values: Values = None) -> list[dict[str, Any]]:
        """Every row of a query, by the names of its columns."""
        ...

    def batches(self, query: str, values: Values = None) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query, some thousand at a time. The connection runs no other query until the last."""
        ...

    def value(self, query: str, values: Values = None) -> Any:
        """The first column of the first row; None without a row."""
        ...

    def frame(self, query: str, values: Values = None) -> "pd.DataFrame":
        """Every row of a query as a pandas frame."""
        ...

    def arrow(self, query: str, values: Values = None) -> "pa.Table":
        """Every row of a query as an Arrow table."""
        ...

    def with_table(self, name: str, table: "pa.Table") -> AbstractContextManager[None]:
        """Within this, queries of the connection see an Arrow table under a name."""
        ...


@dataclass(frozen=True)
class LandingMarks:
    """How far something goes in the landing store: bytes per segment, from the start of it.

    An archived segment whose path is `done_before` or sorts before it counts whole. Of a segment that is in neither,
    nothing counts.
    """

    positions: Mapping[str, int]
    done_before: str


class Published(Protocol):
    """The marts as readers see them: one version, which stays as it is until the next is published.

    Nothing here waits for the warehouse or makes it wait.
    """

    @property
    def location(self) -> str:
        """Where it is, for people."""
        ...

    def version(self) -> Hashable | None:
        """Another value after each publish; None before the first. Opens nothing."""
        ...

    def warehouse_version(self) -> str | None:
        """`Warehouse.version` as it was copied; None if that is unknown. Opens nothing."""
        ...

    def published_at(self) -> datetime | None:
        """When it was published, by the clock of then, UTC; None before the first."""
        ...

    def seconds_ago(self) -> float | None:
        """Seconds since it was published, whatever the clock did; None if unknown, as after a restart."""
        ...

    def marks(self) -> LandingMarks | None:
        """Every landing line before these is in it; None if that is unknown."""
        ...

    def connect(
        self, memory_limit: str | None = None, threads: int | None = None
    ) -> AbstractContextManager[Connection]:
        """A read-only connection to the version of this moment; a mart is named with or without its schema.

        Raises NotPublished.
        """
        ...

    def forget_base(self) -> None:
        """Publish everything anew the next time: something changed that no new event shows."""
        ...


@dataclass(frozen=True)
class BuiltProject:
    """What publishing has to know of the build.

    `version` is that of the dbt project, `landing` how far the models are built (None: unknown), `copied_by` reads
    what marts declare of how their rows change, by mart.
    """

    version: str
    landing: LandingMarks | None
    copied_by: Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class PublishReport:
    """Rows by mart, when the newest event in them arrived (UTC), bytes that the copy takes, seconds it took.

    `renewed`: how many calls were written anew into a copy of the last version; None if all were.
    """

    rows: dict[str, int]
    newest: datetime | None
    stored_bytes: int
    seconds: float
    renewed: int | None


class Warehouse(Protocol):
    """A warehouse, opened by `open_warehouse`; nothing is created or locked by that."""

    @property
    def location(self) -> str:
        """Where it is, for people; holds no password."""
        ...

    @property
    def published(self) -> Published:
        """The marts that readers see."""
        ...

    def exists(self) -> bool:
        """Whether anything was ever written to it."""
        ...

    def version(self) -> str | None:
        """A name for its content, another one after each change; None while it does not exist.

        Versions are compared for equality, never by age. Opens nothing, so that a sensor may ask.
        """
        ...

    def change_number(self) -> int:
        """How often it was held to be changed: a number that only grows, whatever the clock does."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Hold it against everybody else who reads or writes; freed also when this process is killed.

        Raises WarehouseBusy after `lock_timeout_seconds`.
        """
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold it to change it, which makes its content another version; otherwise as `reading`."""
        ...

    def connect(self, read_only: bool = True) -> AbstractContextManager[Connection]:
        """A connection. Call inside `reading` or `writing`."""
        ...

    def attach_statement(self, name: str) -> str:
        """The SQL by which a connection to another warehouse reads this one, as catalogue `name`."""
        ...

    def destination(self) -> Any:
        """The dlt destination of the raw tables."""
        ...

    @property
    def dbt_target(self) -> str:
        """Name of the output in `dbt_project/profiles.yml`."""
        ...

    def dbt_environment(self) -> dict[str, str]:
        """The environment variables by which that output finds this warehouse."""
        ...

    def publish(self, project: BuiltProject) -> PublishReport:
        """Show readers the marts as they are now, in one step. Raises WarehouseBusy."""
        ...
