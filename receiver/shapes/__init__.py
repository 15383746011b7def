"""What each platform's events look like as documented, to tell when a platform changes them.

Nothing is refused or changed for it: an event that does not fit is kept and loaded as far as it can be. A platform's
shapes are the mapping `SHAPES`, from event types as landed, in the module of its name here; a source without one is not
looked at. What an event means does not belong here.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pydantic import BaseModel, ValidationError

__all__ = ["SHAPES", "Misfit", "described", "fields", "misfits", "outline"]

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


@cache
def described(source: str, event_type: str | None) -> Mapping[str, Set[str]]:
    """The objects of an event whose fields the shape names, by place (`call.transcript_object[]`), and those names.

    Objects whose names are the operator's own, such as variables, are none of them.
    """
    shape = SHAPES.get(source, {}).get(event_type or "")
    found: dict[str, set[str]] = {}
    if shape is not None:
        schema = shape.model_json_schema()
        _describe(schema, schema.get("$defs", {}), "", found)
    return found


def _describe(
    schema: Mapping[str, Any], parts: Mapping[str, Any], where: str, found: dict[str, set[str]]
) -> None:
    schema = parts[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        _describe(one, parts, where, found)
    if "items" in schema:
        _describe(schema["items"], parts, f"{where}[]", found)
    for name, inner in schema.get("properties", {}).items():
        found.setdefault(where, set()).add(name)
        _describe(inner, parts, f"{where}.{name}".removeprefix("."), found)


def fields(body: Any, objects: Mapping[str, Set[str]], where: str = "") -> Iterator[tuple[str, str]]:
    """Place and name of each field that a body has in these objects; nothing that it says."""
    if isinstance(body, list):
        for inner in body:
            yield from fields(inner, objects, f"{where}[]")
    elif isinstance(body, dict) and where in objects:
        for name, inner in body.items():
            yield where, str(name)
            yield from fields(inner, objects, f"{where}.{name}".removeprefix("."))


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
    if kind == "too_long":
        return "has more elements than are read"
    expected = message.removeprefix("Input should be ").removeprefix("a valid ")
    return f"should be {expected}, is {'another ' if kind == 'literal_error' else ''}{name_of(found)}"
