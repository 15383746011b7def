"""A warehouse in a temporary home, loaded with events and built by dbt in this process.

How the load itself works does not belong here: rows go into `raw` as the load leaves them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumuro_decoder

from receiver.body import parse, parse_form
from receiver.envelope import seal
from receiver.sources import SOURCES
from tests import homes

BODIES = Path(__file__).parents[1] / "receiver" / "sources" / "bodies"
PROJECT = Path(__file__).parents[2] / "dbt_project"
FIRST_LOAD = datetime(2026, 11, 2, 12)  # noqa: DTZ001 - the warehouse holds plain UTC timestamps

RAW_TABLES = """
create schema raw;
create table raw.call_events (
    event_key varchar not null, event_id varchar, source varchar, event_type varchar, call_id varchar,
    occurred_at timestamp, received_at timestamp, customer_phone varchar, direction varchar, payload json,
    loaded_at timestamp
);
create table raw.rejected_lines (
    position_key varchar, segment varchar, byte_offset bigint, reason varchar, line varchar,
    loaded_at timestamp
);
create table raw.outbox_actions (
    action_key varchar, channel varchar, kind varchar, source varchar, call_id varchar, destination varchar,
    payload json, status varchar, attempts bigint, external_id varchar, last_error varchar, due_at timestamp,
    next_attempt_at timestamp, created_at timestamp, updated_at timestamp, sent_at timestamp,
    loaded_at timestamp
);
create table raw.listed_calls (
    call_key varchar, source varchar, call_id varchar, created_at timestamp, ended_at timestamp,
    is_over boolean, expected_events varchar, call varchar, listed_at timestamp
);
"""


@dataclass(frozen=True)
class Event:
    """One event as it was landed; `body` is JSON text where it is a string."""

    source: str
    event_type: str
    call_id: str | None
    body: Any
    occurred_at: str | None = None
    received_at: str = "2026-11-02T10:00:00"

    @property
    def payload(self) -> str:
        """The body as sent."""
        return self.body if isinstance(self.body, str) else json.dumps(self.body)

    @property
    def event_id(self) -> str:
        """A digest of source and body."""
        return hashlib.sha256((self.source + self.payload).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The key the load gives it."""
        return hashlib.md5(f"{self.source}|{self.call_id}|{self.event_id}".encode()).hexdigest()


@dataclass
class Warehouse:
    """A DuckDB file that raw events go into and that dbt builds from."""

    home: Path
    target: Path
    parse: Path
    loads: int = field(default=0)

    @property
    def path(self) -> Path:
        """The warehouse's file."""
        return self.home / "warehouse.duckdb"

    def create(self) -> "Warehouse":
        """An empty warehouse, as the load leaves it when nothing has come yet."""
        self.home.mkdir(parents=True)
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(RAW_TABLES)
        return self

    def load(self, events: Sequence[Event]) -> None:
        """Insert what is not there yet; one load time for all."""
        self.loads += 1
        loaded_at = FIRST_LOAD + timedelta(seconds=self.loads)
        with duckdb.connect(str(self.path)) as connection:
            known = {key for (key,) in connection.execute("select event_key from raw.call_events").fetchall()}
            rows = {
                event.key: (
                    event.key,
                    event.event_id,
                    event.source,
                    event.event_type,
                    event.call_id,
                    event.occurred_at,
                    event.received_at,
                    None,
                    None,
                    event.payload,
                    loaded_at,
                )
                for event in events
                if event.key not in known
            }
            if rows:
                connection.executemany(
                    f"insert into raw.call_events values ({', '.join('?' * 11)})", list(rows.values())
                )

    def execute(self, statement: str, *values: object) -> None:
        """Run one statement on the warehouse."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(statement, list(values))

    def dbt(self, *arguments: str) -> dict[str, str]:
        """Run dbt; the status of every node by its name. Fails the test when dbt does."""
        # One address for every home in turn: dbt parses the project again whenever the address changes.
        address = self.target / "home"
        address.unlink(missing_ok=True)
        address.symlink_to(self.home)
        os.environ["AFTERCALL_HOME"] = str(address)
        folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        folders += ["--target-path", str(self.target), "--log-path", str(self.target / "logs")]
        parsed = None if "--vars" in arguments else _read(self.parse)
        result = dbtRunner(parsed).invoke([*arguments, *folders, "--quiet"])
        # dbt keeps the file open in this process, with settings of its own.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
        ran = [one for one in getattr(result.result, "results", []) if one.node.resource_type != "operation"]
        outcomes = {one.node.name: one for one in ran}
        failed = {name: node.message for name, node in outcomes.items() if node.status in ("error", "fail")}
        assert result.success, result.exception or failed
        return {name: str(node.status) for name, node in outcomes.items()}

    def build(self) -> dict[str, str]:
        """Everything production builds once: seeds, models, data tests."""
        return self.dbt("build", "--selector", "complete")

    def build_without_tests(self) -> dict[str, str]:
        """Seeds and models only, for tests that compare contents themselves."""
        return self.dbt("build", "--exclude", "test_type:data", "test_type:unit")

    def build_pass(self) -> dict[str, str]:
        """One pass over new events, as production does it."""
        return self.dbt("build", "--selector", "pass")

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query, each by column."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, query: str) -> dict[str, Any]:
        """The only row of a query."""
        rows = self.rows(query)
        assert len(rows) == 1, rows
        return rows[0]

    def relations(self, schema: str) -> dict[str, list[str]]:
        """Columns of every relation of a schema."""
        columns_by_relation: dict[str, list[str]] = {}
        for row in self.rows(
            "select table_name, column_name from information_schema.columns "
            f"where table_schema = '{schema}' order by table_name, ordinal_position"
        ):
            columns_by_relation.setdefault(row["table_name"], []).append(row["column_name"])
        return columns_by_relation


def _read(parse: Path) -> Manifest:
    """The project as it was parsed once for all workers: dbt need not look through its files for each command."""
    parsed = Manifest.from_msgpack(parse.read_bytes(), decoder=extended_mashumuro_decoder)
    parsed.build_flat_graph()  # type: ignore[no-untyped-call]
    return parsed


@pytest.fixture(scope="session")
def new_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Warehouse]]:
    """Makes empty warehouses, each in a home of its own; dbt's parsed project is shared."""
    before = os.environ.get("AFTERCALL_HOME")
    target = tmp_path_factory.mktemp("dbt-target")
    manifest, parse = homes.parsed_project()
    shutil.copy(manifest, target / "manifest.json")

    def make() -> Warehouse:
        return Warehouse(tmp_path_factory.mktemp("home") / "home", target, parse).create()

    yield make
    shutil.rmtree(target, ignore_errors=True)
    if before is None:
        os.environ.pop("AFTERCALL_HOME", None)
    else:
        os.environ["AFTERCALL_HOME"] = before


@pytest.fixture(scope="session")
def built_warehouse(new_warehouse: Callable[[], Warehouse]) -> Callable[[], Warehouse]:
    """Makes warehouses that were built while nothing had come yet, so that a pass is all they need."""

    def build(home: Path) -> None:
        first = new_warehouse()
        first.build_without_tests()
        shutil.copytree(first.home, home)

    def make() -> Warehouse:
        warehouse = new_warehouse()
        shutil.copyfile(homes.shared("built-by-dbt", build) / warehouse.path.name, warehouse.path)
        return warehouse

    return make


@pytest.fixture(scope="session")
def make_event() -> type[Event]:
    """The class of events, for tests to make their own."""
    return Event


def landed(platform: str, body: bytes, is_form: bool = False) -> Event:
    """The event that the receiver and the load make of a platform's body."""
    parsed = parse_form(body) if is_form else parse(body)
    envelope = seal(platform, SOURCES[platform].facts(parsed, {}), body, datetime.now(UTC))
    return Event(
        platform,
        envelope.event_type or "",
        envelope.call_id,
        orjson.dumps(parsed).decode(),
        envelope.occurred_at and envelope.occurred_at.removesuffix("Z"),
    )


@pytest.fixture(scope="session")
def land() -> Callable[[str, bytes, bool], Event]:
    """Makes events of bodies."""
    return landed


@pytest.fixture(scope="session")
def bodies() -> list[tuple[str, bytes, bool]]:
    """Every platform's documented bodies, by platform, and whether they are forms."""
    return [
        (path.parent.name, path.read_bytes(), path.suffix == ".form") for path in sorted(BODIES.glob("*/*"))
    ]


@pytest.fixture(scope="session")
def awkward_events() -> list[Event]:
    """Made-up events of the kinds that break pipelines, lost, late and repeated ones among them."""
    lines = Path(__file__).with_name("awkward_events.ndjson").read_text(encoding="utf-8").splitlines()
    return [Event(**json.loads(line)) for line in lines]


@pytest.fixture(scope="session")
def awkward(new_warehouse: Callable[[], Warehouse], awkward_events: list[Event]) -> Warehouse:
    """All awkward events in one load and one complete build, made once for all workers of a test run."""

    def build(home: Path) -> None:
        first = new_warehouse()
        first.load(awkward_events)
        first.build()
        shutil.copytree(first.home, home)
        shutil.copytree(first.target, home / "target", ignore=shutil.ignore_patterns("home"))

    source, warehouse = homes.shared("awkward", build), new_warehouse()
    shutil.copyfile(source / warehouse.path.name, warehouse.path)
    shutil.copytree(source / "target", warehouse.target, dirs_exist_ok=True)
    warehouse.loads = 1
    return warehouse
