"""`make docs`: dbt's own documentation of the project and of the warehouse of this home, on loopback until Ctrl-C.

Not by `dbt docs serve`, which takes Ctrl-C for a failure.
"""

import contextlib
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from orchestration.config import OrchestrationSettings
from orchestration.load.tables import ensure_tables
from orchestration.warehouse import dbt, open_warehouse

PORT = 8090


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


def main(port: int = PORT) -> None:
    """Generate, then serve. An empty warehouse gets its raw tables first, since the catalogue reads them."""
    settings = OrchestrationSettings()
    folder = settings.dbt_target / "docs"
    sys.stdout.write(f"dbt docs of {settings.home}: generating\n")
    with open_warehouse(settings).writing():
        ensure_tables(settings)
        # models read the phone rules of a seed as dbt compiles them
        dbt.invoke(settings, ["seed", "--select", "phone_regions"])
        dbt.invoke(settings, ["docs", "generate"], target=folder)
    if not dbt.is_built(settings, "models"):
        sys.stdout.write("Nothing is built here yet. Tables and their sizes appear after the first pass.\n")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        sys.exit(f"port {port} is taken ({error.strerror}); another one: python -m docs.serve PORT")
    with server, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"http://127.0.0.1:{port} (Ctrl-C ends it)\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
