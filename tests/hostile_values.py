"""What strangers may put where a platform documents something else."""

from collections.abc import Iterator
from typing import Any

ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, 2**63 - 1, -(2**63), str(2**63 - 1), str(-(2**63)),
    2**70, "", " ", "x", "\u0000", "\ud83d", "é" * 300, "9" * 400, "Infinity", "NaN",
    "2026-13-45T99:99:99Z", "-0.0", "[]", "{}", '{"a": 1}', "=1+1", "%FF", [], {}, [None], [[]], [{}], {"": None},
    {"a": {"b": []}}, ["a", 1, {}], {"value": {"value": []}},
]  # fmt: skip
BEYOND: list[Any] = [
    *ODD, float("inf"), float("nan"), 10**400, "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00",
    "Sun, 25 Mar 99999 09:53:19 +0000", "Fri, 31 Dec 9999 23:59:59 -1200", "253402300799", 253402300799,
    253402300799000, -62135596800,
]  # fmt: skip
"""And what no database takes as JSON: numbers without end, and times at the end of time."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside a body."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    )
    for step, each in inner:
        yield (*path, step)
        yield from places(each, (*path, step))


def replaced(body: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each place of a body and each strange value; while it is yielded the body has that value there."""
    for path in list(places(body)):
        inner = body
        for step in path[:-1]:
            inner = inner[step]
        kept = inner[path[-1]]
        for odd in BEYOND:
            inner[path[-1]] = odd
            yield path, odd
        inner[path[-1]] = kept
