"""How long a call took, as its platform says: which of several answers counts.

The order is that of the models: a duration that the platform sent, then the call's own start and end. The time between
two webhooks is a lower bound. Where a body holds these belongs to `receiver.sources`, formatting to `formatting`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from receiver.sources import SOURCES
from receiver.sources.base import CallLength

LONGEST_SECONDS = 86_400.0
"""`longest_call_seconds` of the models."""
_SECONDS = re.compile(r"\d{10}(?:\.\d{1,9})?", re.ASCII)
_MILLISECONDS = re.compile(r"\d{13}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?", re.ASCII)


@dataclass(frozen=True)
class Duration:
    """Seconds; `is_at_least`: it took so long or longer."""

    seconds: float
    is_at_least: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """What one event says of its call's length: seconds, and the call's own start and end (ISO 8601 or Unix time).

    `received` is the event's receipt, by which the first of several counts.
    """

    received: str
    seconds: float | None = None
    started: str | None = None
    ended: str | None = None


def span_of(source: str, payload: bytes, received: str, occurred: str | None) -> Span:
    """The length of a finished call according to one of its events; `occurred`: when the call ended, if known."""
    known = SOURCES.get(source)
    try:
        length = known.length_of(orjson.loads(payload)) if known else CallLength()
    except orjson.JSONDecodeError:
        length = CallLength()
    number = _number(length.duration)
    if number is not None:
        number /= length.units_per_second
    started, ended = _text(length.started_at), _text(length.ended_at)
    return Span(received, _seconds(number, started, ended), started, ended or occurred)


def duration(
    source: str, end: Span | None, analytics: Span | None, started: str | None, arrived_seconds: float | None
) -> Duration | None:
    """How long a call took, by the best of what is known; None if nothing is, or only how long one leg took.

    Args:
        source: the platform.
        end: what its end says.
        analytics: what its analytics say, which come later and count first.
        started: when it started, as its start event has it.
        arrived_seconds: seconds between the arrivals of its start and its end.
    """
    known = SOURCES.get(source)
    if known is not None and known.reports_each_leg:
        return None
    spans = [span for span in (analytics, end) if span is not None]
    seconds = next((span.seconds for span in spans if span.seconds is not None), None)
    if seconds is not None:
        return Duration(seconds)
    began = next((span.started for span in spans if span.started), started)
    over = next((span.ended for span in spans if span.ended), None)
    seconds = _between(began, over)
    if seconds is not None:
        return Duration(seconds)
    return Duration(arrived_seconds, is_at_least=True) if arrived_seconds is not None else None


def _seconds(number: float | None, started: str | None, ended: str | None) -> float | None:
    """Milliseconds are recognised by the call's own times, else by being longer than any call."""
    if number is None or number < 0:
        return None
    span = _between(started, ended)
    is_near = span is not None and abs(number / 1000 - span) <= max(2.0, span * 0.1)
    if span is not None and is_near and abs(number - span) > abs(number / 1000 - span):
        return number / 1000
    if number / 1000 > LONGEST_SECONDS:
        return None
    return number / 1000 if number > LONGEST_SECONDS else number


def _between(started: str | None, ended: str | None) -> float | None:
    """Seconds between two times; None if one is unknown, or they are not comparable, or no call is so long."""
    begin, end = _moment(started), _moment(ended)
    if begin is None or end is None or begin[1] != end[1]:
        return None
    seconds = end[0] - begin[0]
    return seconds if 0 <= seconds <= LONGEST_SECONDS else None


def _moment(value: str | None) -> tuple[float, bool] | None:
    """Unix seconds, and whether a zone was given; one without is of another clock than one with."""
    if not value:
        return None
    if _SECONDS.fullmatch(value):
        return float(value), True
    if _MILLISECONDS.fullmatch(value):
        return float(value) / 1000, True
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp(), at.tzinfo is not None
    except (ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip()[:64] or None


def _number(value: Any) -> float | None:
    text = _text(value)
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None
