"""The secret of one home, which the board and Dagster's web server ask for where no password is set.

A file that its owner alone can read. Who is let in with the secret belongs to `access`.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from receiver.config import Home

NAME = "access-token"
_BYTES = 32
_SHORTEST = 32
"""Characters. A shorter text is a torn or edited file, and could be guessed."""


class NoToken(SystemExit):
    """The token can be neither read nor written."""


def path_of(home: Home) -> Path:
    """The file that holds the token. Whoever deletes it has a new one created at the next start."""
    return home.home / NAME


def home_token(home: Home) -> str:
    """The token of this home, created at the first call; safe when several processes ask at the same time.

    Raises NoToken, which names the file, when it can be neither read nor written.
    """
    path = path_of(home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        token = _read(path)
        if len(token) < _SHORTEST:
            path.unlink(missing_ok=True)
            _create(path)
            token = _read(path)
    except OSError as error:
        raise NoToken(
            f"the access token cannot be kept in {path}: {error.strerror}. Make the folder writable, or set "
            "AFTERCALL_BOARD_PASSWORD"
        ) from error
    return token


def _read(path: Path) -> str:
    """The token; empty when there is no file or it holds other bytes. A copy that others could read is closed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
        try:
            return file.read(4096).decode("ascii").strip()
        except UnicodeDecodeError:
            return ""


def _create(path: Path) -> None:
    """Write a whole token beside, then give it its name unless another process was first."""
    part = path.with_name(f"{NAME}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
