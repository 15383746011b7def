"""The dbt build, in this process: no second interpreter, and its events as they happen.

Knows how dbt is called and where its files go; what is built belongs to `dbt_project/`, how Dagster shows it
to `orchestration/defs/assets/`.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from integrations.config import IntegrationSettings
from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.warehouse import open_warehouse
from orchestration.warehouse.interface import RelationMissing
from orchestration.warehouse.scratch import scratch_settings

EventSink = Callable[[dict[str, Any]], None]
_NOT_SOURCE = {"target", "logs", ".user.yml"}
_COMPLETE_BUILDS = """
    create table if not exists complete_builds (part varchar primary key, project varchar);
    alter table complete_builds add column if not exists number bigint
"""
_BUILT_BY = "select project from complete_builds where part = ?"
_REMEMBER = "insert or replace into complete_builds (part, project, number) values (?, ?, ?)"
_REFRESH = "refresh"


class BuildFailed(Exception):
    """dbt could not build or a data test failed; the message names each node."""


class NotYaml(Exception):
    """A text is no YAML to dbt; the message is dbt's."""


def manifest_path(settings: OrchestrationSettings) -> Path:
    """The manifest that Dagster reads: a copy, since dbt rewrites its own in place and may be killed at it."""
    return settings.dbt_target / "dagster" / f"{project_version()}.json"


def ensure_manifest(settings: OrchestrationSettings) -> Path:
    """The manifest of the dbt project as it stands, parsed anew only when the project changed."""
    path, parsed = manifest_path(settings), _parsed_path(settings)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            invoke(settings, ["parse"], target=Path(folder))
            (Path(folder) / "partial_parse.msgpack").replace(parsed)
            (Path(folder) / "manifest.json").replace(path)
        for older in {one for one in path.parent.iterdir() if one.is_file()} - {path, parsed}:
            older.unlink(missing_ok=True)
    return path


def _parsed_path(settings: OrchestrationSettings) -> Path:
    """What dbt itself keeps of a parse, for its next commands here; seeds in it have an absolute path."""
    digest = hashlib.sha256(f"{DBT_PROJECT} {project_version()}".encode()).hexdigest()
    return settings.dbt_target / "dagster" / f"{digest[:16]}.msgpack"


# by the name of the file, which says of which project it is: the parse is the same for every home
_held: dict[str, Any] = {}


def warm_up(settings: OrchestrationSettings) -> None:
    """Parse the project and read dbt's macros, so that the next command here, or in each fork, need not.

    To read the macros, dbt builds one seed in an empty scratch warehouse. Measured: this takes 1.3 s of processor time
    once, and the first build of each fork takes 3.6 s instead of 4.3 s.
    """
    _hold_parsed(settings)
    with tempfile.TemporaryDirectory(prefix="aftercall-warm-up-") as folder, suppress(BuildFailed):
        scratch = scratch_settings(settings, Path(folder))
        invoke(scratch, ["seed", "--select", "phone_regions", "--no-write-json"], target=Path(folder))
    # the seed's command has used up the parse that was held
    _hold_parsed(settings)


def _hold_parsed(settings: OrchestrationSettings) -> None:
    path = _parsed_path(settings)
    _held[path.name] = _read_parsed(path)


def _parsed(settings: OrchestrationSettings) -> Any:
    """The project as it was parsed for `ensure_manifest`, if it was: dbt then need not look through its files."""
    path = _parsed_path(settings)
    # a command writes to it, so that it serves one
    return _held.pop(path.name, None) or _read_parsed(path)


def _read_parsed(path: Path) -> Any:
    if not path.exists():
        return None
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    parsed = Manifest.from_msgpack(path.read_bytes(), decoder=extended_mashumuro_decoder)
    parsed.build_flat_graph()  # type: ignore[no-untyped-call]
    return parsed


def project_version() -> str:
    """A digest of every file of the dbt project, of the settings that its SQL reads, and of dbt's own version."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-duckdb')} {_phone_region()}".encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        inner = path.relative_to(DBT_PROJECT)
        if path.is_file() and not _NOT_SOURCE & set(inner.parts):
            digest.update(f"\0{inner}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def variables(values: Mapping[str, Any]) -> str:
    """Dbt's vars as its command line takes them."""
    return json.dumps(dict(values))


def parse_yaml(text: str) -> Any:
    """A text as dbt reads YAML. Raises NotYaml."""
    from dbt.clients.yaml_helper import load_yaml_text
    from dbt_common.exceptions import DbtBaseException

    try:
        return load_yaml_text(text)
    except DbtBaseException as error:
        raise NotYaml(str(error)) from error


def known_vars(project: Path) -> set[str]:
    """The vars that a dbt project has: at the top, or under the project's name. Raises NotYaml."""
    settings = parse_yaml((project / "dbt_project.yml").read_text(encoding="utf-8")) or {}
    values = settings.get("vars") or {}
    own = values.get(settings.get("name"))
    return set(values) | set(own if isinstance(own, dict) else ())


def _phone_region() -> str:
    return IntegrationSettings().phone_region.strip()


def build(settings: OrchestrationSettings, arguments: Sequence[str], sink: EventSink | None = None) -> None:
    """`dbt build`. Raises BuildFailed, and WarehouseBusy when the warehouse is not free."""
    with open_warehouse(settings).writing():
        invoke(settings, ["build", *arguments], sink)


def build_all(
    settings: OrchestrationSettings, part: str, arguments: Sequence[str], sink: EventSink | None = None
) -> None:
    """`dbt build` of a whole part of the project, remembered in the warehouse when it succeeds."""
    warehouse = open_warehouse(settings)
    with warehouse.writing():
        project = project_version()  # before: a change made meanwhile is built the next time
        invoke(settings, ["build", *arguments], sink)
        with warehouse.connect(read_only=False) as connection:
            connection.execute(_COMPLETE_BUILDS)
            connection.execute(_REMEMBER, [part, project, warehouse.change_number()])
        full_build_marker(settings, part).write_text(project, encoding="utf-8")


def is_full_build_recorded(settings: OrchestrationSettings, part: str) -> bool:
    """What `is_built` is likely to say, for those who do not open the warehouse."""
    marker = full_build_marker(settings, part)
    is_marked = open_warehouse(settings).exists() and marker.exists()
    return is_marked and marker.read_text(encoding="utf-8") == project_version()


def full_build_marker(settings: OrchestrationSettings, part: str) -> Path:
    """Path of the file that records a full build of `part` until the warehouse records it itself."""
    return settings.dbt_target / f"complete_{part}.txt"


def is_built(settings: OrchestrationSettings, part: str) -> bool:
    """Whether the whole part was built since the project last changed, so that new events only need a pass."""
    return _built_by(settings, part) == project_version()


def request_full_refresh(settings: OrchestrationSettings, part: str) -> str | None:
    """Have the next build of a part, whoever starts it, build everything anew; what was remembered until now.

    For events that come back to the raw tables: an increment would take them for new, and its models may hold
    them already. Call inside `Warehouse.writing`.
    """
    warehouse = open_warehouse(settings)
    with warehouse.connect(read_only=False) as connection:
        connection.execute(_COMPLETE_BUILDS)
        before: str | None = connection.value(_BUILT_BY, [part])
        connection.execute(_REMEMBER, [part, _REFRESH, warehouse.change_number()])
    full_build_marker(settings, part).unlink(missing_ok=True)
    return before


def cancel_full_refresh(settings: OrchestrationSettings, part: str, before: str | None) -> None:
    """Remember again what was remembered before `request_full_refresh`. Call inside `Warehouse.writing`."""
    warehouse = open_warehouse(settings)
    with warehouse.connect(read_only=False) as connection:
        connection.execute("delete from complete_builds where part = ?", [part])
        if before is not None:
            connection.execute(_REMEMBER, [part, before, warehouse.change_number()])
            full_build_marker(settings, part).write_text(before, encoding="utf-8")


def _built_by(settings: OrchestrationSettings, part: str) -> str | None:
    """The version of the project that built the whole part last."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return None
    with warehouse.reading(), warehouse.connect() as connection, suppress(RelationMissing):
        project: str | None = connection.value(_BUILT_BY, [part])
        return project
    return None


def invoke(
    settings: OrchestrationSettings,
    arguments: list[str],
    sink: EventSink | None = None,
    target: Path | None = None,
    project: Path | None = None,
) -> None:
    """One dbt command against this home. Raises BuildFailed.

    `target` is dbt's folder for artifacts; `project` another dbt
    project than the one that acts. The profile, which says where the warehouse is, is always that of the latter.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    callbacks = [lambda event: sink(_as_dict(event))] if sink is not None else []
    try:
        result = _invoke(
            settings, arguments, callbacks, target or settings.dbt_target, project or DBT_PROJECT
        )
    finally:
        # dbt keeps its connection for the life of the process, and the file has one user at a time
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if not result.success:
        raise BuildFailed("; ".join(_failures(result)) or str(result.exception))


def found_by_tests(events: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What the data tests that warned or failed found, by their names: the words of `log_test_failures`."""
    messages = (event["data"]["msg"] for event in events if event["info"]["name"] == "JinjaLogInfo")
    parts = (message.partition(": ") for message in messages)
    return {name: rows for name, colon, rows in parts if colon}


def _invoke(
    settings: OrchestrationSettings, arguments: list[str], callbacks: list[Any], target: Path, project: Path
) -> Any:
    from dbt.cli.main import dbtRunner

    is_usual = project == DBT_PROJECT and "--vars" not in arguments
    with _environment(settings):
        return dbtRunner(_parsed(settings) if is_usual else None, callbacks).invoke(
            [
                "--quiet",
                "--no-use-colors",
                "--no-send-anonymous-usage-stats",
                "--log-level-file",
                "none",
                *arguments,
                "--target",
                open_warehouse(settings).dbt_target,
                "--project-dir",
                str(project),
                "--profiles-dir",
                str(DBT_PROJECT),
                "--target-path",
                str(target),
            ]
        )


def _failures(result: Any) -> Iterator[str]:
    for one in getattr(result.result, "results", None) or []:
        if str(one.status) in {"error", "fail", "runtime error"}:
            yield f"{one.node.unique_id}: {one.message}"


def _as_dict(event: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    as_dict: dict[str, Any] = MessageToDict(event, preserving_proto_field_name=True)
    return as_dict


@contextmanager
def _environment(settings: OrchestrationSettings) -> Iterator[None]:
    """What the dbt project reads for the time of one command: where the warehouse is, memory, phone region."""
    ours = {
        **open_warehouse(settings).dbt_environment(),
        "AFTERCALL_DUCKDB_MEMORY": settings.duckdb_memory,
        # dbt reads no .env file
        "AFTERCALL_PHONE_REGION": _phone_region(),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
