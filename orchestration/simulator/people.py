"""Simulated customers: a name, a reserved number, a language, often an e-mail address, seldom a VIP.

A customer is the same person in every call. The course of calls does not belong here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from orchestration.simulator.language import Language, languages
from orchestration.simulator.phones import reserved_numbers

WITHOUT_EMAIL = 0.12
"""Share of customers without an address."""

VIP_SHARE = 0.06
CUSTOMERS_PER_CALL = 0.6
"""Customers per call; below 1, so that some call again."""

ENGLISH_SHARE = 0.35


@dataclass(frozen=True)
class Customer:
    """One caller; `phone` in E.164."""

    number: int
    name: str
    phone: str
    email: str | None
    is_vip: bool
    language: Language


class Customers:
    """The customers of one simulation, created on demand; the same for the same seed and size."""

    def __init__(self, calls: int, seed: int) -> None:
        """`calls`: number of calls in the simulation."""
        self._phones = reserved_numbers()
        random.Random(f"{seed}:phones").shuffle(self._phones)  # noqa: S311
        self._size = max(1, min(len(self._phones), round(calls * CUSTOMERS_PER_CALL)))
        self._seed = seed
        self._known: dict[int, Customer] = {}

    def draw(self, rng: random.Random) -> Customer:
        """The customer of the next call."""
        number = rng.randrange(self._size)
        if number not in self._known:
            self._known[number] = self._create(number)
        return self._known[number]

    def _create(self, number: int) -> Customer:
        rng = random.Random(f"{self._seed}:customer:{number}")  # noqa: S311
        every = languages()
        english = next(language for language in every if language.code == "en")
        language = english if rng.random() < ENGLISH_SHARE else rng.choice(every)
        given, plain_given = rng.choice(language.given)
        family, plain_family = rng.choice(language.family)
        address = f"{plain_given}.{plain_family}{number}@example.{rng.choice(('com', 'org', 'net'))}"
        return Customer(
            number=number,
            name=f"{given} {family}",
            phone=self._phones[number],
            email=None if rng.random() < WITHOUT_EMAIL else address,
            is_vip=rng.random() < VIP_SHARE,
            language=language,
        )
