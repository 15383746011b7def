"""Strangers' words, made safe."""

from pathlib import Path

import pytest

from integrations.rendering import fit, line, prose, shorten, templates, words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ("Ada\r\nBcc: eve@example.com", "Ada Bcc: eve@example.com"),
        ("a\u2028b\x85c\x0bd\x00e\tf", "a b c d e f"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("שלום عالم", "שלום عالم"),
        ("half \ud83d", "half \ufffd"),
        (5, "5"),
    ],
)
def test_a_line(value: object, expected: str) -> None:
    assert line(value) == expected


def test_prose_keeps_its_lines_and_nothing_else() -> None:
    assert prose("a\r\nb\rc\u2028d\x00e\x1b[31m\tf\n") == "a\nb\nc\nde[31m\tf"


def test_what_is_too_long_says_so_and_cuts_no_letter_in_two() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert len(prose("x" * 1_000_000, 100)) == 100
    assert shorten("ab👩\u200d👧cd", 4) == "ab…"
    assert shorten("cafe\u0301s!", 5) == "caf…"
    assert shorten("\u0301" * 10, 5) == "…"


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("👩👩👩", 6, "👩👩👩"), ("👩👩👩", 5, "👩👩…"),
        ("👩👩👩", 4, "👩…"),
        ("👍🏽👍🏽", 7, "👍🏽…"), ("🇩🇪🇫🇷🇮🇹", 11, "🇩🇪🇫🇷…"), ("🇩🇪🇫🇷🇮🇹", 8, "🇩🇪…"), ("e\u0301e\u0301x", 4, "e\u0301…"),
        ("1\ufe0f\u20e32\ufe0f\u20e3", 5, "1\ufe0f\u20e3…"), ("👨\u200d👩\u200d👧\u200d👦!", 11, "…"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", 5, "\u1112\u1161\u11ab…"), ("नमस्ते जी", 4, "नम…"),
    ],
)  # fmt: skip
def test_a_text_fits_into_the_units_that_systems_count(text: str, limit: int, cut: str) -> None:
    assert fit(text, limit) == cut
    assert len(fit(text, limit).encode("utf-16-le")) // 2 <= limit


def test_codes_as_words() -> None:
    assert words("rental_car", "request") == "rental car"
    assert words(None, "request") == "request"


def test_values_are_never_templates_and_html_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "t.html.j2").write_text("<p>{{ hostile }}</p>")
    (tmp_path / "t.txt.j2").write_text("{{ hostile }}")
    hostile = "{{ 7 * 7 }} <script>"
    assert (
        templates(tmp_path).get_template("t.html.j2").render(hostile=hostile)
        == "<p>{{ 7 * 7 }} &lt;script&gt;</p>"
    )
    assert templates(tmp_path).get_template("t.txt.j2").render(hostile=hostile) == hostile
