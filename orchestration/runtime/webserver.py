"""`python -m orchestration.runtime.webserver WORKSPACE`: Dagster's web server behind the guard.

`guard` decides which requests pass; `services` has the other processes.
"""

import sys
from pathlib import Path

import uvicorn
from dagster import DagsterInstance, __version__
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster_webserver.app import create_app_from_workspace_process_context

from integrations.board.access import Access, refuse_open
from orchestration.config import DagsterSettings
from orchestration.runtime.guard import Guard
from receiver.rsgi import refuse_taken_address

# Dagster's own defaults for its web server
_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW = 15_000, 3600, 20
_POLL_MS = 2_000


def serve(settings: DagsterSettings, workspace: Path) -> None:
    """Serve the UI until SIGTERM or SIGINT; must run in the main thread.

    Raises SystemExit if the address cannot be bound, or if others could reach Dagster without a password.
    """
    refuse_open(settings)
    refuse_taken_address(settings.host, settings.port, "AFTERCALL_DAGSTER_BIND")
    access = Access(settings)
    setup_interrupt_handlers()
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW)
        target = WorkspaceFileTarget(paths=[str(workspace)])
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            app = create_app_from_workspace_process_context(context, live_data_poll_rate=_POLL_MS)
            uvicorn.run(
                Guard(app, access),
                host=settings.host,
                port=settings.port,
                log_level="warning",
                # the guard checks the peer address itself
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )


if __name__ == "__main__":
    serve(DagsterSettings(), Path(sys.argv[1]))
