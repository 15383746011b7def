"""The dbt build, in this process: no second interpreter, and its events as they happen.

Knows how dbt is called and where its files go; what is built belongs to `dbt_project/`, how Dagster shows it
to `orchestration/assets/`.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestration import warehouse
from orchestration.config import DBT_PROJECT, OrchestrationSettings

EventSink = Callable[[dict[str, Any]], None]


class BuildFailed(Exception):
    """dbt could not build or a data test failed; the message names each node."""


def manifest_path(settings: OrchestrationSettings) -> Path:
    """The manifest that Dagster reads: a copy, since dbt rewrites its own in place and may be killed at it."""
    return settings.dbt_target / "dagster" / "manifest.json"


def ensure_manifest(settings: OrchestrationSettings) -> Path:
    """The manifest, parsed anew only when a file of the dbt project is younger."""
    path = manifest_path(settings)
    if not path.exists() or path.stat().st_mtime < _newest_source():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            invoke(settings, ["parse"], target=Path(folder))
            (Path(folder) / "manifest.json").replace(path)
    return path


def build(
    settings: OrchestrationSettings,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    full_refresh: bool = False,
    sink: EventSink | None = None,
) -> None:
    """`dbt build` over a selection. Raises BuildFailed, and WarehouseBusy when the warehouse is not free."""
    arguments = ["build"]
    if select:
        arguments += ["--select", *select]
    if exclude:
        arguments += ["--exclude", *exclude]
    if full_refresh:
        arguments.append("--full-refresh")
    with warehouse.writing(settings):
        invoke(settings, arguments, sink)


def invoke(
    settings: OrchestrationSettings,
    arguments: list[str],
    sink: EventSink | None = None,
    target: Path | None = None,
) -> None:
    """One dbt command against this home; `target` is dbt's folder for artifacts. Raises BuildFailed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    callbacks = [lambda event: sink(_as_dict(event))] if sink is not None else []
    try:
        result = _invoke(settings, arguments, callbacks, target or settings.dbt_target)
    finally:
        # dbt keeps its connection for the life of the process, and the file has one user at a time
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if not result.success:
        raise BuildFailed("; ".join(_failures(result)) or str(result.exception))


def _invoke(settings: OrchestrationSettings, arguments: list[str], callbacks: list[Any], target: Path) -> Any:
    from dbt.cli.main import dbtRunner

    with _environment(settings):
        return dbtRunner(callbacks=callbacks).invoke(
            [
                "--quiet",
                "--no-use-colors",
                "--no-send-anonymous-usage-stats",
                "--log-level-file",
                "none",
                *arguments,
                "--project-dir",
                str(DBT_PROJECT),
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


def _newest_source() -> float:
    return max(
        path.stat().st_mtime
        for path in DBT_PROJECT.rglob("*")
        if path.is_file() and not {"target", "logs"} & set(path.relative_to(DBT_PROJECT).parts)
    )


@contextmanager
def _environment(settings: OrchestrationSettings) -> Iterator[None]:
    """`AFTERCALL_HOME` as the profile reads it, absolute, for the time of one command."""
    before = os.environ.get("AFTERCALL_HOME")
    os.environ["AFTERCALL_HOME"] = str(settings.home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["AFTERCALL_HOME"]
        else:
            os.environ["AFTERCALL_HOME"] = before
