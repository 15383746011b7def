"""The phrase tables are complete, in every language alike, and can be filled in."""

import string

import pytest

from orchestration.simulator.language import LINES, TOPIC_LINES, TOPICS, Language, languages

KNOWN = {"name", "agent", "amount", "ref", "day"}


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.code)
def test_a_language_has_every_phrase(language: Language) -> None:
    assert set(language.lines) == set(LINES)
    assert min(len(phrases) for phrases in language.lines.values()) >= 2
    for topic in TOPICS:
        sizes = {line: len(phrases) for line, phrases in language.topics[topic].items()}
        assert sizes == TOPIC_LINES, topic


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.code)
def test_only_what_is_known_is_filled_in(language: Language) -> None:
    tables = [language.lines, *language.topics.values()]
    choices = [phrases for table in tables for phrases in table.values()]
    assert all(len(phrases) == len(set(phrases)) for phrases in choices)
    phrases = [phrase for some in choices for phrase in some]
    asked = {field for phrase in phrases for _, field, _, _ in string.Formatter().parse(phrase) if field}
    assert asked <= KNOWN
    assert language.money.format(7) != "7"


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.code)
def test_every_name_has_a_spelling_that_an_address_can_carry(language: Language) -> None:
    assert all(plain.isascii() and plain.isalpha() and plain.islower() for _, plain in language.given)
    assert all(plain.isascii() and plain.isalpha() and plain.islower() for _, plain in language.family)
