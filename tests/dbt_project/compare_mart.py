"""Whether a mart says what was counted elsewhere. What is counted does not belong here."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse


def agree(actual: Mapping[Any, Iterable[Any]], wanted: Mapping[Any, Iterable[Any]]) -> None:
    """The same rows with the same figures, null where they are null."""
    assert wanted
    assert actual.keys() == wanted.keys()
    for key, figures in wanted.items():
        pairs = list(zip(actual[key], figures, strict=True))
        assert [value is None for value, _ in pairs] == [value is None for _, value in pairs], key
        known = [pair for pair in pairs if pair[1] is not None]
        assert [value for value, _ in known] == pytest.approx([value for _, value in known], rel=1e-6), key


def figures(warehouse: "Warehouse", mart: str, key: str, columns: str) -> dict[Any, list[Any]]:
    """The rows of a mart: the columns of its key, and what it says."""
    width = len(key.split(","))
    rows = [tuple(row.values()) for row in warehouse.rows(f"select {key}, {columns} from marts.{mart}")]
    actual = {row[:width]: list(row[width:]) for row in rows}
    assert len(actual) == len(rows)
    return actual
