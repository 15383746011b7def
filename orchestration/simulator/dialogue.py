"""Composes phrases into a conversation of 4 to 16 turns with plausible times.

The course of the call belongs to `calls.py`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.simulator.language import Language

SECONDS_PER_CHARACTER = {"ar": 0.085}
"""Speaking time per written character where it is not 0.065: Arabic writes no short vowels."""

FITTING = {
    ("technical", "solved"): (1, 0, 1),
    ("technical", "unsolved"): (1, 0, 1),
    ("account", "unsolved"): (1, 0, 0),
}
"""Which of the two answers fits each of the three problems, if not (0, 1, 1). The same for every language."""


@dataclass(frozen=True)
class Turn:
    """A turn by `agent` or `user`, which ends `offset_seconds` after the call was answered."""

    role: str
    content: str
    offset_seconds: float


@dataclass(frozen=True)
class Mood:
    """The course of a call, as far as its conversation shows it."""

    topic: str
    is_outbound: bool
    is_resolved: bool
    is_cross: bool
    is_glad: bool
    wants_person: bool
    is_followed_up: bool


def converse(
    language: Language, mood: Mood, fill: dict[str, str], rng: random.Random
) -> tuple[tuple[Turn, ...], float]:
    """The turns of a call, and its length in seconds."""
    turns: list[Turn] = []
    clock = rng.uniform(0.4, 1.6)
    pace = SECONDS_PER_CHARACTER.get(language.code, 0.065)
    for role, phrase in _phrases(language, mood, rng):
        content = phrase.format(**fill, day=rng.choice(language.days))
        clock += 0.4 + pace * len(content) * rng.uniform(0.85, 1.25)
        turns.append(Turn(role, content, clock))
        clock += _pause(role, rng)
    return tuple(turns), clock + rng.uniform(0.3, 2.0)


def _phrases(language: Language, mood: Mood, rng: random.Random) -> list[tuple[str, str]]:
    lines, topic = language.lines, language.topics[mood.topic]
    phrases: list[tuple[str, str]] = []

    def pair(first: tuple[str, str], second: tuple[str, str]) -> None:
        phrases.extend((first, second))

    def one(line: str) -> str:
        return rng.choice(lines[line])

    matter = rng.randrange(len(topic["problem"]))
    pair(("agent", one("hello_out" if mood.is_outbound else "hello")), ("user", topic["problem"][matter]))
    if rng.random() < 0.8:
        pair(("agent", one("verify")), ("user", one("confirm")))
    if rng.random() < 0.75:
        which = rng.randrange(len(topic["question"]))
        pair(("agent", topic["question"][which]), ("user", topic["detail"][which]))
    if rng.random() < 0.55:
        pair(("agent", one("wait")), ("user", one("go_on")))
    pair(("agent", _answer(topic, mood, matter)), ("user", one(_reply(mood))))
    if mood.wants_person:
        pair(("user", one("want_person")), ("agent", one("transfer")))
        return phrases
    if mood.is_followed_up:
        pair(("agent", one("promise")), ("user", one("fine")))
    if rng.random() < 0.7:
        pair(("agent", one("bye_agent")), ("user", one("bye_user")))
    return phrases


def _answer(topic: Mapping[str, Sequence[str]], mood: Mood, matter: int) -> str:
    line = "solved" if mood.is_resolved else "unsolved"
    return topic[line][FITTING.get((mood.topic, line), (0, 1, 1))[matter]]


def _reply(mood: Mood) -> str:
    if mood.is_cross:
        return "cross"
    if not mood.is_resolved:
        return "let_down"
    return "glad" if mood.is_glad else "fine"


def _pause(role: str, rng: random.Random) -> float:
    """Seconds of silence after a turn: people answer at once; an agent sometimes needs time to look."""
    if role == "agent":
        return rng.uniform(0.3, 1.2)
    return rng.uniform(6.0, 25.0) if rng.random() < 0.2 else rng.uniform(0.5, 2.0)
