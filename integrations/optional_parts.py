"""Writing a record without what its system refuses of it and does not need: a group that was deleted, an odd address.

Which parts a record can do without, and by which words a refusal names each, a vendor's own file says. What else a
refusal means belongs to `errors`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from integrations.errors import NotFound, Rejected, Unsendable
from integrations.rendering import line
from integrations.rest import Conflict, Missing

T = TypeVar("T")

_LONGEST_REASON = 200


@dataclass(frozen=True)
class Part:
    """A part of a record that the system may refuse and does not need.

    Args:
        name: what it is called in the note.
        words: words by which the system's refusal names it, such as the name of a field; any case.
        order: parts of the lowest order are left out first where a refusal names none. What people would miss most has
            the highest.
    """

    name: str
    words: tuple[str, ...]
    order: int = 0


@dataclass(frozen=True)
class Omission:
    """What a record is written without, and why; true if that is anything.

    Args:
        parts: names of the parts.
        reason: the system's own words.
        is_named: whether a refusal named each of them.
    """

    parts: tuple[str, ...] = ()
    reason: str = ""
    is_named: bool = True

    def __contains__(self, part: str) -> bool:
        return part in self.parts

    def __bool__(self) -> bool:
        return bool(self.parts)

    def of(self, values: Mapping[str, str]) -> dict[str, str]:
        """What is left of a record's values, by the names of its parts."""
        return {name: value for name, value in values.items() if name not in self.parts}

    @property
    def note(self) -> str:
        """One line for the record itself: what is left out, and why."""
        names = ", ".join(self.parts).replace("_", " ")
        return f"{names} ({line(self.reason, _LONGEST_REASON)})" if self.parts else ""


WHOLE = Omission()


def write_without_refused(
    write: Callable[[Omission], T],
    parts: Sequence[Part],
    *,
    refusals: tuple[type[Exception], ...] = (Rejected,),
) -> T:
    """What `write` returns for the whole record, or for the record without the parts that the system refuses.

    Each refusal leaves out the first part that it names, or the least needed parts if it names none. There is at most
    one try for each part more than for a record that is taken.

    Args:
        write: makes or changes the record without these parts.
        parts: what the record can do without.
        refusals: what `write` raises when the system refuses.

    Raises:
        Rejected: the last refusal, if the system does not take the record without its parts either.
    """
    omission = WHOLE
    while True:
        try:
            return write(omission)
        except (NotFound, Missing, Unsendable):
            raise
        except refusals as error:
            left = [part for part in parts if part.name not in omission]
            if not left:
                raise
            lowest = min(part.order for part in left)
            named = [part for part in left if _is_named(part, error)][:1]
            out = named or [part for part in left if part.order == lowest]
            omission = Omission(
                (*omission.parts, *(part.name for part in out)),
                omission.reason or str(error),
                omission.is_named and bool(named),
            )


def _is_named(part: Part, error: Exception) -> bool:
    details = error.details if isinstance(error, Rejected | Conflict) else ""
    text = f"{error} {details}"
    return any(
        re.search(rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])", text, re.IGNORECASE) for word in part.words
    )
