"""A process that has imported the code location and forks for each run, which then starts at once.

The launcher starts `python -m orchestration.runtime.preload` with one end of a pipe. Over it the server says that it is
ready, then takes for each run the argument of `dagster api execute_run`, Dagster's own command for a run in a process
of its own, and answers with the id of that process. It ends when the launcher is gone, and when the code is no longer
what it imported. Here nothing opens a database or a socket and nothing starts a thread: a fork would share it.
"""

import gc
import multiprocessing
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection

from orchestration.config import CODE_LOCATION, PROJECT_ROOT, OrchestrationSettings
from orchestration.warehouse import dbt

_OURS = ("receiver", "integrations", "orchestration")
# what a run would import on its way
_USED_LATER = (
    "alembic.command",
    "dagster._cli.api",
    "dagster._core.storage.sqlite_storage",
    "dbt.cli.main",
    "dbt.task.build",
    "dbt.adapters.duckdb",
    "dlt.destinations.impl.duckdb.duck",
)
_LOOKS_FOR_ENDED_SECONDS = 1.0


def serve(launcher: Connection) -> None:
    """Import everything, then fork for each run that is asked for, until the launcher is gone or the code changed."""
    imported = _version()
    for module in (CODE_LOCATION, *_USED_LATER):
        import_module(module)
    import_module(CODE_LOCATION).defs.get_repository_def()
    dbt.hold_parsed(OrchestrationSettings())
    # a fork shares each page until it is written, and the collector writes to all that it looks at
    gc.collect()
    gc.freeze()
    launcher.send("ready")
    while True:
        while not launcher.poll(_LOOKS_FOR_ENDED_SECONDS):
            multiprocessing.active_children()  # buries those that ended
        try:
            arguments = launcher.recv()
        except EOFError:
            return
        if _version() != imported:
            return
        run = multiprocessing.get_context("fork").Process(target=_execute, args=(launcher, arguments))
        run.start()
        launcher.send(run.pid)


def _version() -> tuple[object, ...]:
    """Of all that runs import from this project: when each module was changed last, and what dbt would parse."""
    modules = [path for folder in _OURS for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))]
    return dbt.project_version(), *((path, path.stat().st_mtime_ns) for path in modules)


def _execute(launcher: Connection, arguments: str) -> None:
    from dagster._cli.api import api_cli

    # held by a run, the launcher would not see that the server is gone
    launcher.close()
    api_cli(["execute_run", arguments], standalone_mode=False)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl-C at `dagster dev` is for everybody
        serve(Connection(int(sys.argv[1])))
