"""File permissions: only the owner may read the home, since it holds what callers said.

Restricts new files of the whole process, and removes permissions that an earlier version or another program left.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OTHERS = 0o077
"""Permissions of everybody but the owner."""
_WRITTEN = (
    "access-token", "board", "dagster", "dbt", "dlt", "landing", "logs", "metrics", "outbox.sqlite*", "published",
    "warehouse.duckdb*", "whatif", "*.lock",
)  # fmt: skip
"""What aftercall writes into its home. Permissions of other files are the operator's choice."""


def keep_new_files_private() -> None:
    """Let this process and its children create files as 0600 and folders as 0700."""
    os.umask(OTHERS)


def prepare(home: Path) -> None:
    """Create the home, or make an existing one and the files that aftercall wrote into it private.

    Raises OSError if the home cannot be created. Files of another user stay as they are.
    """
    keep_new_files_private()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path, mode in exposed(home):
        with suppress(OSError):
            path.chmod(mode & ~OTHERS)


def exposed(home: Path) -> Iterator[tuple[Path, int]]:
    """The files and folders of a home that others can access, with their modes; links are left out.

    Of a shared folder, such as `/tmp` or the user's own directory, only files that aftercall wrote count.
    """
    with suppress(OSError):
        status = home.stat()
        is_for_all = status.st_mode & stat.S_ISVTX or home in (Path.home(), Path(home.anchor))
        if not is_for_all and status.st_mode & OTHERS:
            yield home, stat.S_IMODE(status.st_mode)
        for name in _WRITTEN:
            for path in sorted(home.glob(name)):
                yield from _within(path)


def _within(path: Path) -> Iterator[tuple[Path, int]]:
    """The path and everything below it. Files that loads and runs remove meanwhile are skipped."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return
        if mode & OTHERS:
            yield path, stat.S_IMODE(mode)
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                below = [Path(entry.path) for entry in entries]
            for one in below:
                yield from _within(one)
