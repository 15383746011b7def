"""The voice platforms the receiver understands, by the name in `/webhooks/<source>`.

A new platform is a new file here: each class of this folder that inherits from `Source` is one. What an event
means beyond its envelope does not belong here.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from receiver.sources.base import Source

__all__ = ["SOURCES", "Source"]


def _found() -> Iterator[Source]:
    for module in sorted(found.name for found in iter_modules(__path__, f"{__name__}.")):
        for thing in vars(import_module(module)).values():
            if isinstance(thing, type) and Source in thing.__mro__[1:] and thing.__module__ == module:
                yield thing()


SOURCES: dict[str, Source] = {source.name: source for source in _found()}
