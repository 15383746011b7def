"""What stands for a phone number or an address, and that no text takes longer than its length."""

import time

import pytest

from integrations.board.masking import phone, text


@pytest.mark.parametrize(
    ("number", "masked", "whole"),
    [
        ("+12025550143", "+1 202 ··· 43", "+1 202 555 0143"),
        ("+493025551211", "+49 302 ··· 11", "+49 302 555 1211"),
        ("+35312345678", "+353 123 ··· 78", "+353 123 456 78"),
        ("2025550143", "202 ··· 43", "202 555 0143"),
        ("anonymous", "anonymous", "anonymous"),
    ],
)
def test_a_number_shows_where_it_is_from_and_its_end(number: str, masked: str, whole: str) -> None:
    assert phone(number, mask=True) == masked
    assert phone(number, mask=False) == whole


@pytest.mark.parametrize(
    "secret",
    [
        "+12025550143",
        "+1 (202) 555-0143",
        "202 555 0143",
        "202-555-0143",
        "+49 30 2555 1211",
        "jo.doe+x@mail.example.com",
    ],
)
def test_no_number_or_address_stands_in_a_text(secret: str) -> None:
    shown = text(f"call me: {secret}, please", mask=True)
    assert secret not in shown
    assert "···" in shown
    assert text(secret, mask=False) == secret


@pytest.mark.parametrize(
    "harmless",
    ["2026-11-23T15:07:34.472465Z", "2026-11-23 15:07:34", "CALL-1795446040017-249d58", "call_261123150640_8_000017",
     "reference 414891", "€ 1.250,00", "sha256:0123456789012345678901234567890123456789"],
)  # fmt: skip
def test_times_ids_and_amounts_stay_as_they_are(harmless: str) -> None:
    assert text(harmless, mask=True) == harmless


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("a@b.com/second@mail.example.org", "a···@b···.com/···@m···.org"),
        ("x@y@mail.example.org", "x@y···@m···.org"),
        ("@mail.example.org @ a@ a@b", "@mail.example.org @ a@ a@b"),
        ("zoë@exämple.de, Ann_Lee@Example.COM.", "z···@e···.de, A···@E···.COM."),
    ],
)
def test_every_address_is_masked_wherever_it_begins(value: str, masked: str) -> None:
    assert text(value, mask=True) == masked


HOSTILE = {
    "a word": "a", "a word of dots": ".", "digits": "1", "spaced digits": "1 ", "pluses": "+1", "ats": "@",
    "ats and a": "a@", "domains": "a@b", "labels": "@a.b.", "brackets": "((", "dashes": "1-",
    "dates": "2026-11-23 ", "braces": "{}",
}  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("end", ["", " jo@example.com", "@", "@a.b"])
def test_eight_times_the_text_takes_about_eight_times_as_long(unit: str, end: str) -> None:
    """A pattern that tries every letter as a start would take sixty-four times as long."""

    def seconds(length: int) -> float:
        value = (unit * length)[:length] + end
        spans = []
        for _ in range(3):
            started = time.thread_time()
            text(value, mask=True)
            spans.append(time.thread_time() - started)
        return min(spans)

    assert seconds(32_000) < 24 * seconds(4_000) + 0.001
