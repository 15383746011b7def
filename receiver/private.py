"""The home holds what callers said: only its owner may read it.

Sets the rights of new files for a whole process, and closes what an earlier version, or another program, left open.
What is in the files belongs to others.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OTHERS = 0o077
"""The rights of everybody but the owner."""
_WRITTEN = (
    "access-token", "board", "dagster", "dbt", "dlt", "landing", "logs", "metrics", "outbox.sqlite*", "published",
    "warehouse.duckdb*", "whatif", "*.lock",
)  # fmt: skip
"""What aftercall itself writes into its home. Rights of other files are for the operator to choose."""


def keep_new_files_private() -> None:
    """From now on this process and those it starts create files 0600 and folders 0700."""
    os.umask(OTHERS)


def prepare(home: Path) -> None:
    """Create the home, or close the one that exists, with all that aftercall wrote into it.

    Raises OSError when the home cannot be created. What belongs to another user stays as it is.
    """
    keep_new_files_private()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path, mode in exposed(home):
        with suppress(OSError):
            path.chmod(mode & ~OTHERS)


def exposed(home: Path) -> Iterator[tuple[Path, int]]:
    """Each file and folder of a home that others than its owner have rights to, and these rights; links are left out.

    A folder that is there for all, such as `/tmp` or the user's own directory, is no home of its own: only what
    aftercall wrote into it is looked at.
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
    """The path and all below it. What is removed meanwhile, as loads and runs do, is passed over."""
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
