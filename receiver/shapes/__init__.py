"""What each platform's events look like as documented, to tell when a platform changes them.

Nothing is refused or changed for it: an event that does not fit is kept and loaded as far as it can be. A platform's
shapes are the mapping `SHAPES`, from event types as landed, in the module of its name here; a source without one is not
looked at. What an event means does not belong here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pydantic import BaseModel, ValidationError

__all__ = ["SHAPES", "Misfit", "misfits", "outline"]

SHAPES: dict[str, Mapping[str, type[BaseModel]]] = {
    module.name: import_module(f"{__name__}.{module.name}").SHAPES
    for module in iter_modules(__path__)
    if module.name != "base"
}
_TYPES = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
_MOST_KEYS, _MOST_DEPTH = 60, 8


@dataclass(frozen=True, order=True)
class Misfit:
    """One place of a body that is not as documented; nothing that the body says."""

    where: str
    problem: str


def misfits(source: str, event_type: str | None, body: Any) -> list[Misfit]:
    """Where a body does not fit its shape; empty when it fits, or has none. Never raises."""
    shape = SHAPES.get(source, {}).get(event_type or "")
    if shape is None:
        return []
    try:
        shape.model_validate(body)
    except ValidationError as error:
        found = {
            Misfit(_path(one["loc"]), _problem(one["type"], one["msg"], one["input"]))
            for one in error.errors(include_url=False, include_context=False)
        }
        return sorted(found)
    return []


def outline(value: Any, depth: int = 0) -> Any:
    """A body without anything that it says: names and types, and of a list its first element."""
    if isinstance(value, dict):
        if depth == _MOST_DEPTH:
            return "object"
        shown = {str(key)[:60]: outline(inner, depth + 1) for key, inner in list(value.items())[:_MOST_KEYS]}
        return shown | ({"...": f"{len(value) - _MOST_KEYS} more"} if len(value) > _MOST_KEYS else {})
    if isinstance(value, list):
        return (
            [outline(value[0], depth + 1), f"{len(value)} in all"]
            if value and depth < _MOST_DEPTH
            else "list"
        )
    return name_of(value)


def name_of(value: Any) -> str:
    """The type of a JSON value, as JSON calls it."""
    return _TYPES.get(type(value), "null")


def _path(location: tuple[int | str, ...]) -> str:
    """`call.transcript_object[].role`: which element of a list it was is left out, so that many are one."""
    return (
        "".join("[]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
        or "body"
    )


def _problem(kind: str, message: str, found: Any) -> str:
    if kind == "missing":
        return "is missing"
    expected = message.removeprefix("Input should be ").removeprefix("a valid ")
    return f"should be {expected}, is {'another ' if kind == 'literal_error' else ''}{name_of(found)}"
