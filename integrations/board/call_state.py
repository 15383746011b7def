"""One live call: when its first start, end and analytics were received, and what the board shows of it.

Which calls count for a day, and which are shown, belongs to `live_calls`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

import orjson

from integrations.board.durations import Span, span_of
from receiver.envelope import text_of
from receiver.sources import SOURCES

CALL_START, CALL_END, ANALYTICS = "call.start", "call.end", "analytics.completed"
_ENDED_BY_ANALYTICS = {
    b'"%s"' % name.encode() for name, source in SOURCES.items() if source.analytics_end_the_call
}
_LARGE = 64 << 10


class Step(IntEnum):
    """What an event says of its call, in the order in which these happen."""

    START = 0
    END = 1
    ANALYTICS = 2


_STEPS = {
    b'"%s"' % CALL_START.encode(): (Step.START,),
    b'"%s"' % CALL_END.encode(): (Step.END,),
    b'"%s"' % ANALYTICS.encode(): (Step.ANALYTICS,),
}
_END_AND_ANALYTICS = (Step.END, Step.ANALYTICS)


@dataclass(slots=True)
class Detail:
    """What is shown of a call that is on the line or in the feed.

    `started`: the call's own time of its start, as sent. `start_body`: the body of its start while its agent is not
    looked up. `spans`: what its end and its analytics say of its length.
    """

    phone: str | None = None
    direction: str | None = None
    agent: str | None = None
    started: str | None = None
    source: str = ""
    start_body: bytes = b""
    spans: dict[Step, Span] = field(default_factory=dict)

    def find_agent(self) -> None:
        """Look the agent up in the body of the start, and let go of the body."""
        if self.start_body:
            self.agent, self.start_body = self.agent or agent_of(self.source, self.start_body), b""


@dataclass(slots=True)
class CallState:
    """When the first event of each step was received; None if there was none.

    Recovered ends and analytics count only in a call whose start is known: without it they are history. Until then
    they wait in `recovered`. `repeated`: when a step that came more than once was received last.
    """

    started_at: datetime | None = None
    ended_at: datetime | None = None
    analysed_at: datetime | None = None
    recovered: dict[Step, datetime] | None = None
    repeated: dict[Step, datetime] | None = None
    detail: Detail | None = None

    @property
    def is_active(self) -> bool:
        """True if the call started, and neither its end nor its analytics came."""
        return self.started_at is not None and self.ended_at is None and self.analysed_at is None

    def received_at(self, step: Step) -> datetime | None:
        """When the first event of a step was received."""
        return (self.started_at, self.ended_at, self.analysed_at)[step]

    def receive(self, step: Step, at: datetime) -> bool:
        """Take in an event; returns True if it is the first of its step that was received."""
        known = self.received_at(step)
        if known is not None:
            self.repeated = self.repeated or {}
            self.repeated[step] = max(at, known, self.repeated.get(step, at))
            if known <= at:
                return False
        self._set(step, at)
        return True

    def _set(self, step: Step, at: datetime | None) -> None:
        if step is Step.START:
            self.started_at = at
        elif step is Step.END:
            self.ended_at = at
        else:
            self.analysed_at = at

    @property
    def is_known(self) -> bool:
        """True if anything was received of the call."""
        return bool(self.recovered) or any(self.received_at(step) is not None for step in Step)

    def forget_before(self, moment: datetime) -> None:
        """Forget what was received before a moment."""
        for step in Step:
            received_at = self.received_at(step)
            if received_at is not None and received_at < moment:
                repeated = self.repeated and self.repeated.get(step)
                self._set(step, repeated if repeated and repeated >= moment else None)
        if self.recovered:
            self.recovered = {step: at for step, at in self.recovered.items() if at >= moment} or None

    def hold_back(self, step: Step, at: datetime) -> None:
        """Keep a recovered event of a call whose start is not known."""
        self.recovered = self.recovered or {}
        self.recovered[step] = min(at, self.recovered.get(step, at))


def steps_of(event_type: bytes, source: bytes) -> tuple[Step, ...]:
    """What an event says of its call; nothing if it is of no such type. Both arguments as a landing line has them."""
    steps = _STEPS.get(event_type, ())
    if steps and steps[0] is Step.ANALYTICS and source in _ENDED_BY_ANALYTICS:
        return _END_AND_ANALYTICS
    return steps


def describe(
    detail: Detail, fields: tuple[bytes, ...], payload: bytes, first: list[Step], *, is_open: bool
) -> None:
    """Add to a call's detail what a landing line says of it.

    Args:
        detail: the detail.
        fields: the line's fields before the payload, as `scan` yields them.
        payload: the line's payload.
        first: the steps of which the line is the first event.
        is_open: whether the call is on the line, so that its agent is shown.
    """
    _, source, _, _, occurred, received, phone, direction = fields
    detail.phone = detail.phone or text_of(phone)
    detail.direction = detail.direction or text_of(direction)
    for step in first:
        if step is Step.START:
            detail.started = text_of(occurred)
            if is_open:
                detail.source, detail.start_body = text_of(source) or "", payload
                if len(payload) > _LARGE:
                    detail.find_agent()
        else:
            # analytics come some time after the end
            ended = text_of(occurred) if step is Step.END else None
            detail.spans[step] = span_of(text_of(source) or "", payload, text_of(received) or "", ended)


def agent_of(source: str, body: bytes) -> str | None:
    """The agent that a body names; None if it names none."""
    known = SOURCES.get(source)
    try:
        return known.agent_of(orjson.loads(body)) if known else None
    except orjson.JSONDecodeError:
        return None
