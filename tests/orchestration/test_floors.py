"""Data goes up one way: no folder imports from a floor above it, nor what its floor may not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "receiver": {"integrations", "orchestration", "dagster", "dlt", "dbt", "duckdb"},
    "integrations": {"orchestration", "dagster", "dlt", "dbt"},
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
