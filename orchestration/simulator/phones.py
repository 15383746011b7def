"""Telephone numbers that belong to nobody.

Only ranges that numbering authorities reserve for fiction: 555-0100 to 0199 in North America (NANPA),
07700 900000 to 900999 and 020 7946 0000 to 0999 in Britain (Ofcom), 030 23125 000 to 999 and 0171 39200 00
to 99 in Germany (BNetzA).
"""

from __future__ import annotations

import random

NORTH_AMERICAN_AREAS = ("202", "212", "303", "312", "404", "415", "503", "512", "617", "702", "808", "919")

OUR_LINES = ("+18005550199", "+442079460018", "+493023125700")
"""The voice agents' numbers."""


def reserved_numbers() -> list[str]:
    """All numbers of customers in E.164, in a fixed order, without the agents' numbers."""
    american = [f"+1{area}5550{last}" for last in range(100, 200) for area in NORTH_AMERICAN_AREAS]
    british = [f"+447700900{last:03d}" for last in range(1000)]
    german = [f"+4917139200{last:02d}" for last in range(100)]
    return american + british + german


def as_people_write_it(number: str, rng: random.Random) -> str:
    """The number with the blanks and brackets that some telephone systems send."""
    if number.startswith("+1"):
        area, first, last = number[2:5], number[5:8], number[8:]
        return rng.choice(
            (f"+1 ({area}) {first}-{last}", f"+1 {area} {first} {last}", f"+1-{area}-{first}-{last}")
        )
    if number.startswith("+44"):
        return f"+44 {number[3:7]} {number[7:]}"
    return f"+49 {number[3:6]} {number[6:]}"
