"""Which of a CRM's contacts a caller is, and which of its fields may be written: the same rules for every CRM.

    1. the contacts with the caller's number; one without an extension goes before one with
    2. if there are none: those with the caller's e-mail address and no number at all
    3. of several the one that was made first, so that two with one number do not become three

Once a contact was found it stays the caller's: the outbox holds its id. How a CRM is asked is in its own file.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from integrations import phones


@dataclass(frozen=True)
class Candidate:
    """A contact that may be the caller.

    Args:
        identity: its id.
        created_at: when it was made, as text that sorts like the time.
        phones: its numbers as the CRM holds them, faxes left out.
        emails: its addresses.
    """

    identity: str
    created_at: str
    phones: tuple[str, ...]
    emails: tuple[str, ...] = ()


def chosen(candidates: Iterable[Candidate], phone: str, email: str, region: str) -> str | None:
    """The id of the contact that is the caller, by the rules above; None if there is none.

    Args:
        candidates: what the CRM came up with; what does not match counts for nothing.
        phone: the caller's number.
        email: the caller's address, empty if it is not known.
        region: country of numbers that name none.
    """
    ranked = []
    for one in candidates:
        numbers = [number for number in one.phones if phones.same(number, phone, region)]
        age = (one.created_at, len(one.identity), one.identity)
        if numbers:
            ranked.append((int(all(phones.has_extension(number, region) for number in numbers)), age))
        elif email and not any(one.phones) and email.lower() in (known.lower() for known in one.emails):
            ranked.append((2, age))
    return min(ranked)[1][2] if ranked else None


def due(present: Mapping[str, str], wanted: Mapping[str, str], ours: Collection[str]) -> dict[str, str]:
    """What an update writes: our own fields where they differ, of the others only those that are empty.

    Whatever a person wrote into a name, an address or a due date stays.
    """
    return {
        name: value
        for name, value in wanted.items()
        if value and value != present.get(name, "") and (name in ours or not present.get(name))
    }
