"""What goes over strangers' words takes time in proportion to their length, whatever they are."""

import time
from collections.abc import Callable

import pytest

from integrations.chat.slack_webhook import coded_error
from integrations.config import IntegrationSettings
from integrations.errors import redact
from integrations.http import Answer
from integrations.ticket.redmine_text import harmless

SETTINGS = IntegrationSettings()
PAGE = {"Content-Type": "text/html"}

HOSTILE = [
    "a", "1", ".", "<", ">", "a-", "token", "token ", "tokentoken=", "bearer ", "://:", "://a:", "xoxb-", "a1",
    "<script", "<script>", "<style ", "</", "a_", "_a", "&", "\n", " ", "h1.", "12)", "p(", "a@b.", "@.", "=/", "\t\n",
]  # fmt: skip
WORK: dict[str, Callable[[str], object]] = {
    "redact": lambda text: redact(text, SETTINGS),
    "words": lambda text: Answer("Desk", 200, PAGE, text.encode()).words,
    "harmless": harmless,
    "meant": lambda text: coded_error(text, "#support"),
}


def seconds(work: Callable[[str], object], text: str) -> float:
    """The least processor time of three goes: how busy the machine is does not count."""
    best = 1e9
    for _ in range(3):
        start = time.thread_time()
        work(text)
        best = min(best, time.thread_time() - start)
    return best


@pytest.mark.parametrize("name", WORK)
def test_four_times_as_much_takes_no_more_than_ten_times_as_long(name: str) -> None:
    for piece in HOSTILE:
        for start, end in (("", ""), ("a", "!"), ("<", ")")):
            short, long = (start + piece * (size // len(piece)) + end for size in (4_000, 16_000))
            # Where nothing is slow there is nothing to compare: quadratic work on the long text takes 100 times this.
            took = seconds(WORK[name], long)
            assert took < 0.02 or took < 10 * seconds(WORK[name], short), (piece, start, end)


def test_the_text_beyond_what_is_stored_is_not_searched() -> None:
    assert redact("x" * 10_000_000 + "password=hunter2", SETTINGS) == "x" * 1_999 + "…"
