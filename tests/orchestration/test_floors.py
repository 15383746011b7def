"""Data goes up one way: no folder imports from a floor above it, nor what its floor may not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "receiver": {"integrations", "orchestration", "dagster", "dlt", "dbt", "duckdb"},
    "integrations": {"orchestration", "dagster", "dlt", "dbt", "duckdb"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("floor", sorted(FORBIDDEN))
def test_no_import_goes_up(floor: str) -> None:
    modules = list((ROOT / floor).rglob("*.py"))
    assert modules
    upward = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules
        for name in imports(path)
        if name in FORBIDDEN[floor]
    }
    assert upward == set()


PRIVATE_ROOM = ROOT / "orchestration" / "runtime"


def private_dagster(path: Path) -> set[str]:
    """What a file imports of Dagster's private modules, and of those of its libraries."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)]
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{name}" for name in names]
        found |= {name for name in names if name.startswith("dagster") and "._" in name}
    return found


def test_only_the_runtime_imports_private_modules_of_dagster() -> None:
    files = {path for folder in ("orchestration", "integrations") for path in (ROOT / folder).rglob("*.py")}
    users = {path for path in files if private_dagster(path)}
    assert users, "the rule sees those that may"
    assert {str(path.relative_to(ROOT)) for path in users if PRIVATE_ROOM not in path.parents} == set()


@pytest.mark.parametrize(
    "line",
    [
        "from dagster._core.launcher import WorkerStatus",
        "from dagster import _core",
        "import dagster._grpc.types as types",
        "def later():\n    from dagster_dbt._compat import x",
    ],
)
def test_a_private_module_of_dagster_is_seen_however_it_is_imported(line: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(line)
    assert private_dagster(module)
    module.write_text("import dagster as dg\nfrom dagster import DagsterInstance\n")
    assert not private_dagster(module)


ROOMS = {"duckdb": "orchestration/warehouse"}
"""The only folder that may import a library, whose words stay behind that folder's interface."""


def strangers(root: Path, library: str, room: str) -> set[str]:
    """Modules outside a room that import what only the room may."""
    return {
        str(path.relative_to(root))
        for floor in ("receiver", "integrations", "orchestration")
        for path in (root / floor).rglob("*.py")
        if not path.is_relative_to(root / room) and library in imports(path)
    }


@pytest.mark.parametrize(("library", "room"), ROOMS.items())
def test_a_library_stays_in_its_room(library: str, room: str) -> None:
    assert any(library in imports(path) for path in (ROOT / room).rglob("*.py"))
    assert strangers(ROOT, library, room) == set()


@pytest.mark.parametrize("statement", ["import duckdb", "def f():\n    from duckdb import Error"])
def test_an_import_outside_its_room_is_noticed(tmp_path: Path, statement: str) -> None:
    for folder in ("load", "warehouse"):
        module = tmp_path / "orchestration" / folder / "module.py"
        module.parent.mkdir(parents=True)
        module.write_text(statement)
    assert strangers(tmp_path, "duckdb", ROOMS["duckdb"]) == {"orchestration/load/module.py"}


FACES = ("integrations.outbox",)
"""Packages whose `__init__` is all that others may import."""


def below_a_face(source: str, face: str) -> set[str]:
    """Modules below a face that a source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    modules = (ROOT / face.replace(".", "/")).rglob("*.py")
    below = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules}
    return names & (below - {f"{face}.__init__"})


@pytest.mark.parametrize("face", FACES)
def test_nobody_imports_what_is_below_a_face(face: str) -> None:
    inside = ROOT / face.replace(".", "/")
    modules = [path for floor in (*FORBIDDEN, "orchestration") for path in (ROOT / floor).rglob("*.py")]
    outside = [path for path in modules if inside not in path.parents]
    assert len(outside) > 100
    below = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in outside
        for name in below_a_face(path.read_text(encoding="utf-8"), face)
    }
    assert below == set()


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import integrations.outbox.queue", "integrations.outbox.queue"),
        ("from integrations.outbox.schema import SENT", "integrations.outbox.schema"),
        (
            "def late():\n    from integrations.outbox import Outbox, incidents",
            "integrations.outbox.incidents",
        ),
    ],
)
def test_an_import_below_the_face_is_seen(source: str, module: str) -> None:
    assert below_a_face(source, "integrations.outbox") == {module}
    assert below_a_face("from integrations.outbox import Outbox, dispatch", "integrations.outbox") == set()
