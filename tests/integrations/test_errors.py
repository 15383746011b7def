"""Errors as they are written down: short, and without what nobody should read."""

import pytest
from pydantic import SecretStr

from integrations.config import IntegrationSettings
from integrations.errors import Rejected, describe


class WithSecret(IntegrationSettings):
    token: SecretStr = SecretStr("first-key, second-key")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("401 for first-key", "401 for ***"),
        ("401 for second-key", "401 for ***"),
        ("connect to https://ada:pass@host/x failed", "connect to https://***@host/x failed"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("POST /x?api_key=abcdef&n=1", "POST /x?api_key=***&n=1"),
        ('{"password": "hunter2"}', '{"password": "***"}'),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/***"),
        ("token xoxb-1234567890-abc", "token ***"),
        ("the queue 'cars' is unknown", "the queue 'cars' is unknown"),
    ],
)
def test_no_secret_is_written_down(text: str, expected: str) -> None:
    assert describe(Rejected(text), WithSecret()) == expected


def test_length_and_odd_characters() -> None:
    assert len(describe(Rejected("x" * 10_000), WithSecret())) == 2_000
    assert describe(Rejected("a\x00b\ud800"), WithSecret()) == "ab?"
    assert describe(KeyError("id"), WithSecret()) == "KeyError: 'id'"
    assert describe(TimeoutError(), WithSecret()) == "TimeoutError"
