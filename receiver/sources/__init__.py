"""The voice platforms the receiver understands, by the name in `/webhooks/<source>`.

A new platform is a new file in this folder: each class that inherits from `Source` is registered. What an event means
beyond the facts of `Source` belongs to dbt's staging models.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from receiver.sources.base import Source

__all__ = ["SOURCES", "Source"]


def _sources() -> Iterator[Source]:
    for module in sorted(info.name for info in iter_modules(__path__, f"{__name__}.")):
        for member in vars(import_module(module)).values():
            if isinstance(member, type) and Source in member.__mro__[1:] and member.__module__ == module:
                yield member()


SOURCES: dict[str, Source] = {source.name: source for source in _sources()}
