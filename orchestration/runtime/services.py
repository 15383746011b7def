"""The commands of Dagster's three processes: code server, daemon and web server.

`tools/processes.py` starts and restarts them. This module does not import Dagster, so a command that only needs an
address answers at once.
"""

import hashlib
import json
import os
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path

from orchestration.config import CODE_LOCATION, PROJECT_ROOT, DagsterSettings

LOCATION = "aftercall"
"""The code location's name, as in `workspace.yaml`: Dagster keeps the states of sensors under it."""
_LONGEST_SOCKET_PATH = 100
_CODE_SERVER_SECONDS = 120.0


def prepare_workspace(settings: DagsterSettings) -> Path:
    """The path of the file that names the code server to web server and daemon. JSON is valid YAML."""
    path = settings.dagster / "workspace.yaml"
    server = {"grpc_server": {"socket": str(code_socket(settings)), "location_name": LOCATION}}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps({"load_from": [server]}), encoding="utf-8")
    part.replace(path)
    return path


def code_socket(settings: DagsterSettings) -> Path:
    """The code server's socket, which only this user can reach. Raises SystemExit if its folder is somebody else's."""
    path = settings.dagster / "code.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    # the system takes no longer path
    home = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"aftercall-{os.getuid()}-{home}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.getuid()
        or stat.S_IMODE(status.st_mode) & 0o077
    ):
        raise SystemExit(
            f"{folder} belongs to somebody else; remove it, or give AFTERCALL_HOME a shorter path"
        )
    return folder / path.name


def is_code_served(settings: DagsterSettings) -> bool:
    """True if the code server accepts connections."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        return connection.connect_ex(str(code_socket(settings))) == 0


def code_process(settings: DagsterSettings) -> list[str]:
    """The command of the process that loads the code location for the other two."""
    where = [
        "--socket",
        str(code_socket(settings)),
        "--location-name",
        LOCATION,
        "--inject-env-vars-from-instance",
    ]
    module = ["-m", CODE_LOCATION, "-d", str(PROJECT_ROOT)]
    return [
        sys.executable,
        "-m",
        "dagster",
        "code-server",
        "start",
        *where,
        *module,
        "--log-level",
        "warning",
    ]


def daemon_process(workspace: Path) -> list[str]:
    """The command of the process that runs sensors and schedules and starts runs."""
    return _behind_code("dagster._daemon", "run", "-w", str(workspace), "--log-level", "warning")


def web_process(workspace: Path) -> list[str]:
    """The command of the guarded web server."""
    return _behind_code("orchestration.runtime.webserver", str(workspace))


def _behind_code(module: str, *arguments: str) -> list[str]:
    """The command of a module that starts once the code server accepts connections; before, it would log errors."""
    return [sys.executable, "-m", "orchestration.runtime.services", sys.executable, "-m", module, *arguments]


def main(command: list[str]) -> None:
    """Wait for the code server, then become the command; after the timeout too, since the command logs the cause."""
    settings, deadline = DagsterSettings(), time.monotonic() + _CODE_SERVER_SECONDS
    while not is_code_served(settings) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.execv(command[0], command)  # noqa: S606 - our own program


if __name__ == "__main__":
    main(sys.argv[1:])
