"""Homes that a whole test run shares: each is made once, by the worker that needs it first, and copied or only read.

What a home is for does not belong here.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.config import Home
from receiver.landing import LandingStore, open_landing

_LANDING = "landing"
_shared: Path


def share(config: pytest.Config) -> None:
    """Name the folder of this test run to every worker, and the home that the code location is imported for.

    To import the code location is to parse the dbt project into a home: one for all workers, not the checkout's.
    """
    global _shared
    if not hasattr(config, "workerinput"):
        os.environ["AFTERCALL_HOME"] = str(
            Path(tempfile.mkdtemp(prefix="aftercall-tests-")) / "imported" / "home"
        )
    _shared = Path(os.environ["AFTERCALL_HOME"]).parents[1]


def remove(config: pytest.Config) -> None:
    """Remove the folder of this test run."""
    if not hasattr(config, "workerinput"):
        os.environ.pop("AFTERCALL_HOME")
        shutil.rmtree(_shared, ignore_errors=True)


def shared(name: str, make: Callable[[Path], None]) -> Path:
    """The home of that name, which `make` fills if no worker has done so yet."""
    folder = _shared / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder / "home", ignore_errors=True)
            make(folder / "home")
            (folder / "done").touch()
    return folder / "home"


def copy(source: Path, home: Path, with_landing: bool = False) -> None:
    """Everything of a home, its landing store only if asked for, into one that has none of it."""
    for part in source.iterdir():
        if part.is_dir() and (with_landing or part.name != _LANDING):
            shutil.copytree(part, home / part.name)
        elif part.is_file():
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy2(part, home / part.name)


def landing_of(home: Path) -> LandingStore:
    """The landing store in a home."""
    return open_landing(Home(home=home).landing)


def parsed_project() -> tuple[Path, Path]:
    """The dbt project as one worker parsed it for all: its manifest, and what dbt itself keeps of a parse."""
    from orchestration.config import OrchestrationSettings
    from orchestration.warehouse import dbt

    manifest = dbt.ensure_manifest(OrchestrationSettings(home=_shared / "imported" / "home"))
    (parse,) = manifest.parent.glob("*.msgpack")
    return manifest, parse


def hand_on_the_parse(home: Path) -> None:
    """Spare a new home the parse of the dbt project, which is the same in each and takes as long as a pass."""
    from orchestration.config import OrchestrationSettings

    target = OrchestrationSettings(home=home).dbt_target
    if not target.exists():
        parsed = parsed_project()[0].parent
        shutil.copytree(parsed, target / parsed.name)
