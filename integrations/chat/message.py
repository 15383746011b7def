"""What a chat message says, whatever the destination: headline, text, facts, buttons.

Which messages are due, with which headline and icon, is decided in `sync_slack_messages` and its seed. How a message
looks in a system belongs to the destination. Alerts about aftercall itself have labels of their own: a problem says
what was seen and what to do, its end only how long it lasted.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import orjson

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Unsendable
from integrations.links import board, call_page
from integrations.rendering import Rendered, line, moment, prose

ALERT = "pipeline_alert"
OVER = "Resolved: "
# Slack shows this many characters of a headline, which is the least of the destinations.
HEADLINE = 150
_PROBLEM, _RESOLVED = "🔴", "✅"
_LINKS = {"ticket": "Open the ticket", "contact": "Open the contact"}


@dataclass(frozen=True)
class Button:
    """A link that people press: an id of ours, the words on it, its address."""

    name: str
    label: str
    url: str


@dataclass(frozen=True)
class Message:
    """A message. All text is as people said it; a destination makes it safe.

    Args:
        channel: where it goes: `#name`, or an id of the system.
        headline: one line.
        icon: a sign before the headline; may be empty.
        sections: paragraphs, each with its label.
        facts: short values, each with its label.
        buttons: links.
        small_print: the last line; may be empty.
        action_key: the key of the action, so that a system that can be asked finds the message again.
    """

    channel: str
    headline: str
    icon: str
    sections: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    buttons: tuple[Button, ...]
    small_print: str
    action_key: str

    @property
    def title(self) -> str:
        """The headline with its icon."""
        return f"{self.icon} {self.headline}" if self.icon else self.headline


def message(delivery: Delivery, settings: IntegrationSettings) -> Message:
    """The message of an action.

    Raises:
        Unsendable: if no channel is named.
        DestinationUnavailable: if AFTERCALL_BOARD_URL is no address.
    """
    channel = channel_of(delivery)
    headline = (
        line(delivery.payload.get("headline"), 300) or line(delivery.kind).replace("_", " ").capitalize()
    )
    if delivery.kind == ALERT:
        return _alert(delivery, channel, headline, settings)
    return _about_a_call(delivery, channel, headline, settings)


def channel_of(delivery: Delivery) -> str:
    """The channel that the message goes to. Raises Unsendable if the payload names none."""
    channel = line(delivery.payload.get("slack_channel"), 80)
    if not channel:
        raise Unsendable(
            f"Cannot post {line(delivery.kind)}: no chat channel is set. Add it to seeds/slack_channels.csv"
        )
    return channel


def render(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """The message as JSON."""
    rendered = message(delivery, settings)
    body = orjson.dumps(asdict(rendered), option=orjson.OPT_INDENT_2).decode()
    return Rendered("application/json", f"{rendered.channel}: {rendered.headline}", body)


def _about_a_call(delivery: Delivery, channel: str, headline: str, settings: IntegrationSettings) -> Message:
    payload = delivery.payload
    sections = []
    summary = prose(payload.get("summary"))
    # The headline of an unhappy customer quotes the summary: no need to repeat one that is shown whole.
    if summary and not (summary in headline and len(headline) < HEADLINE - 4):
        sections.append(("Summary", summary))
    if payload.get("action_needed"):
        sections.append(("Action needed", prose(payload["action_needed"])))
    facts = {
        "Customer": payload.get("customer"),
        "Agent": payload.get("agent_id"),
        "Started": moment(payload.get("started_at")),
    }
    return Message(
        channel=channel,
        headline=headline,
        icon=line(payload.get("icon"), 8),
        sections=tuple(sections),
        facts=tuple((label, line(value, 2_000)) for label, value in facts.items() if value),
        buttons=tuple(_buttons(delivery, settings)),
        small_print=f"Call {line(delivery.call_id, 2_000)} · {delivery.source}" if delivery.call_id else "",
        action_key=delivery.action_key,
    )


def _buttons(delivery: Delivery, settings: IntegrationSettings) -> Iterator[Button]:
    for name, label in _LINKS.items():
        if name in delivery.links:
            yield Button(f"open_{name}", label, delivery.links[name])
    url = call_page(settings.board_url, delivery.source, delivery.call_id)
    if url:
        yield Button("open_call", "Open the call", url)


def _alert(delivery: Delivery, channel: str, headline: str, settings: IntegrationSettings) -> Message:
    payload = delivery.payload
    is_over = headline.startswith(OVER)
    labelled = {
        "What happened" if is_over else "What was seen": payload.get("summary"),
        "What to do": payload.get("action_needed"),
    }
    buttons: tuple[Button, ...] = ()
    if settings.board_url and not is_over:
        buttons = (Button("open_board", "Open the board", f"{board(settings.board_url)}/actions"),)
    return Message(
        channel=channel,
        headline=headline,
        icon=_RESOLVED if is_over else _PROBLEM,
        sections=tuple((label, prose(text)) for label, text in labelled.items() if text),
        facts=(),
        buttons=buttons,
        small_print=f"aftercall · {moment(delivery.at)}",
        action_key=delivery.action_key,
    )
