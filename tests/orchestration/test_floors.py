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
