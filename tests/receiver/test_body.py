import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.body import BadBody, depth_over, parse, without_mark

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_any_json_is_parsed(value: object) -> None:
    # ensure_ascii writes astral characters as surrogate pairs, which must come back whole
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b'{"a": Infinity}',
        b'{"\\ud83d": -Infinity}',
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\x01"',
        b"01",
        b"[1] 2",
    ],
)
def test_not_json(body: bytes) -> None:
    with pytest.raises(BadBody):
        parse(body)


def test_reason_names_the_place_and_quotes_nothing() -> None:
    with pytest.raises(BadBody, match="line 1 column 15") as caught:
        parse(b'{"secret": 12 34}')
    assert "secret" not in str(caught.value)


def test_unpaired_surrogate_stays() -> None:
    assert parse(b'{"text": "cut \\ud83d", "n": 1}') == {"text": "cut \ud83d", "n": 1}
    assert parse(b'["\\ud83d", %s]' % (b"9" * 5000))[1] == float("inf")


@pytest.mark.parametrize(
    "digits", ["0", "-0", "7", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
               "-9223372036854775809", "123456789012345678901"]
)  # fmt: skip
def test_an_integer_is_the_same_beside_an_unpaired_surrogate(digits: str) -> None:
    usual, slow = parse(f"[{digits}]".encode()), parse(f'[{digits}, "\\ud83d"]'.encode())
    assert (type(usual[0]), usual[0]) == (type(slow[0]), slow[0])


def test_last_duplicate_key_wins() -> None:
    assert parse(b'{"a": 1, "a": 2}') == {"a": 2}


def test_depth_limit_is_500() -> None:
    assert parse(b"[" * 500 + b"]" * 500)
    for levels in (501, 5000, 100_000):
        with pytest.raises(BadBody, match="limit of 500"):
            parse(b'{"a":' * levels + b"1" + b"}" * levels)


def test_brackets_in_strings_and_siblings_are_no_depth() -> None:
    assert parse(json.dumps(["[" * 1000, '\\"[{' * 1000, [[]] * 1000]).encode())
    assert not depth_over(b"[]" * 1000, 500)


def test_mark_is_dropped() -> None:
    assert parse(without_mark(b"\xef\xbb\xbf{}")) == {}
