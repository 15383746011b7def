"""The phrase tables: what people and agents say, per language and topic.

The words live in `languages/<code>.toml`, written for this project; this module only reads and holds them.
Which phrase is said when belongs in `dialogue.py`.
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
"""Lines a table must have whatever the topic."""

TOPIC_LINES = {"problem": 3, "question": 2, "detail": 2, "solved": 2, "unsolved": 2}
"""Lines a table must have for every topic, and how many of each.

The detail with the same place answers the question; which answer fits which problem is said in `dialogue.py`.
"""

TOPICS = ("billing", "delivery", "booking", "technical", "account")
"""What the calls are about; each is sent as the call's issue type."""


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
    """Every language in the package, by code.

    Raises KeyError when a table lacks a line, so a new language is complete or not there at all.
    """
    folder = resources.files("orchestration.simulator") / "languages"
    tables = (entry for entry in folder.iterdir() if entry.name.endswith(".toml"))
    read = [_language(tomllib.loads(entry.read_text(encoding="utf-8"))) for entry in tables]
    return tuple(sorted(read, key=lambda language: language.code))
