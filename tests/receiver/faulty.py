"""`python -m tests.receiver.faulty`: a receiver whose source raises what it was sent, as no source should."""

from collections.abc import Mapping
from typing import Any

from receiver.envelope import Facts
from receiver.serve import serve
from receiver.sources.atoms import Atoms


def _facts(self: Atoms, body: Any, headers: Mapping[str, str]) -> Facts:
    raise KeyError(body["name"])


if __name__ == "__main__":
    Atoms.facts = _facts  # type: ignore[method-assign]
    serve()
