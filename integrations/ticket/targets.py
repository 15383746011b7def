"""Settings that say what a queue or a priority is called in another system: `billing=123,support=456,1`.

Which system a ticket goes to is not said here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from integrations.errors import DestinationUnavailable, Forbidden


@dataclass(frozen=True)
class Targets:
    """Names over there by our names, and one for all others; `setting` is where they come from."""

    setting: str
    named: Mapping[str, str]
    other: str | None

    def of(self, name: str) -> str | None:
        """What it is called over there; None if the setting does not say."""
        return self.named.get(name.lower(), self.other)

    def needed(self, name: str) -> str:
        """The same; Forbidden, naming the setting, if it does not say."""
        target = self.of(name)
        if target is None:
            raise Forbidden(f"{self.setting} says nothing for {name!r}, and nothing for all others")
        return target

    def all(self) -> list[str]:
        """Every name over there, each once."""
        return list(dict.fromkeys([*self.named.values(), *([self.other] if self.other else [])]))


def targets(value: str, setting: str) -> Targets:
    """A setting `name=target,…`, where a target alone is for all other names.

    Raises:
        DestinationUnavailable: if it cannot be read so, naming the setting.
    """
    named: dict[str, str] = {}
    other: str | None = None
    for part in filter(None, (one.strip() for one in value.split(","))):
        name, equals, target = (piece.strip() for piece in part.partition("="))
        if not equals and other is None:
            other = name
        elif name and target and name.lower() not in named:
            named[name.lower()] = target
        else:
            raise DestinationUnavailable(
                f"set {setting} to name=target, several with commas; {part!r} cannot be read"
            )
    return Targets(setting, named, other)
