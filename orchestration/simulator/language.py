"""The phrases of people and agents, per language and topic.

Reads `languages/<code>.toml`, written for this project. The choice of phrases belongs to `dialogue.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

LINES = (
    "hello", "hello_out", "verify", "confirm", "wait", "go_on", "glad", "fine", "cross", "let_down",
    "want_person", "transfer", "promise", "bye_agent", "bye_user",
)  # fmt: skip
"""Lines that a table must have for all topics together."""

TOPIC_LINES = {"problem": 3, "question": 2, "detail": 2, "solved": 2, "unsolved": 2}
"""Lines that a table must have per topic, and how many of each.

A detail answers the question at the same position. `dialogue.py` has the answers that fit a problem.
"""

TOPICS = ("billing", "delivery", "booking", "technical", "account")
"""Topics of calls; each is sent as the call's issue type."""


@dataclass(frozen=True)
class Language:
    """One language's people and phrases; a name comes with its spelling for an e-mail address."""

    code: str
    money: str
    given: Sequence[tuple[str, str]]
    family: Sequence[tuple[str, str]]
    days: Sequence[str]
    lines: Mapping[str, Sequence[str]]
    topics: Mapping[str, Mapping[str, Sequence[str]]]


def _language(table: Mapping[str, Any]) -> Language:
    return Language(
        code=table["code"],
        money=table["money"],
        given=[(shown, plain) for shown, plain in table["given"]],
        family=[(shown, plain) for shown, plain in table["family"]],
        days=table["days"],
        lines={line: table[line] for line in LINES},
        topics={topic: {line: table["topics"][topic][line] for line in TOPIC_LINES} for topic in TOPICS},
    )


@cache
def languages() -> tuple[Language, ...]:
    """Every language of the package, by code.

    Raises KeyError if a table lacks a line, so that no language is incomplete.
    """
    folder = resources.files("orchestration.simulator") / "languages"
    tables = (entry for entry in folder.iterdir() if entry.name.endswith(".toml"))
    read = [_language(tomllib.loads(entry.read_text(encoding="utf-8"))) for entry in tables]
    return tuple(sorted(read, key=lambda language: language.code))
