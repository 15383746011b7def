"""The fork server: a process that has imported the code location and forks for each run, which then starts at once.

The launcher starts `python -m orchestration.runtime.preload` with one end of a pipe. The server reports that it is
ready, then receives for each run the argument of `dagster api execute_run`, Dagster's own command for a run in its own
process, and replies with the id of that process. It ends when the launcher is gone, and when the code has changed
since it was imported. Nothing in it holds a database, a socket or a thread: every fork would share it.
"""

import gc
import multiprocessing
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection

from orchestration.config import CODE_LOCATION, PROJECT_ROOT, OrchestrationSettings
from orchestration.warehouse import dbt

_FLOORS = ("receiver", "integrations", "orchestration")
# what a run imports later
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
    """Import everything, then fork for each requested run, until the launcher is gone or the code changed."""
    imported = _version()
    for module in (CODE_LOCATION, *_USED_LATER):
        import_module(module)
    import_module(CODE_LOCATION).defs.get_repository_def()
    dbt.warm_up(OrchestrationSettings())
    # a fork shares each page until it is written, and the collector writes to all that it looks at
    gc.collect()
    gc.freeze()
    launcher.send("ready")
    while True:
        while not launcher.poll(_LOOKS_FOR_ENDED_SECONDS):
            multiprocessing.active_children()  # reaps those that ended
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
    """The version of all that runs import from this project: times of the modules, and the dbt project's digest."""
    modules = [path for folder in _FLOORS for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))]
    return dbt.project_version(), *((path, path.stat().st_mtime_ns) for path in modules)


def _execute(launcher: Connection, arguments: str) -> None:
    from dagster._cli.api import api_cli

    # a run that held this end would hide from the launcher that the server is gone
    launcher.close()
    api_cli(["execute_run", arguments], standalone_mode=False)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl-C at `dagster dev` is for everybody
        serve(Connection(int(sys.argv[1])))
