"""Keys of actions: one for each action at each destination, whatever the ids of calls look like. No database here.

A key that a rule makes (`kind:source:call`) ends with an id that a stranger chose. The outbox adds an ending of its
own: `~2` for what a person had sent once more, `@zendesk` for a further destination. So a key that already ends like
that gets an ending which says that it is an original. Ordinary keys stay as they are.
"""

import re

_LIKE_A_COPY = re.compile(r"~[0-9]+\Z")
_LIKE_A_PLACE = re.compile(r"@\w*\Z")
_COPY = re.compile(r"~(?:[2-9]|[1-9][0-9]+)\Z")


def due_key_of(action_key: str) -> str:
    """The key that a destination learns: the rule's own, and `~1` at its end if it ends like a copy's."""
    return f"{action_key}~1" if _LIKE_A_COPY.search(action_key) else action_key


def copy_key(key: str, number: int) -> str:
    """The key of what a person had sent once more; `number` is 2 or higher."""
    return f"{key}~{number}"


def is_copy(due_key: str) -> bool:
    """True for the key of what a person had sent once more: it goes to one destination alone."""
    return _COPY.search(due_key) is not None


def row_key(due_key: str, destination: str, *, is_first: bool) -> str:
    """The key of an action's row at a destination; the first destination's is the action's own."""
    if not is_first:
        return f"{due_key}@{destination}"
    return f"{due_key}@" if _LIKE_A_PLACE.search(due_key) else due_key
