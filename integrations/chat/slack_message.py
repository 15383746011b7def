"""A chat message as the arguments of Slack's `chat.postMessage`, shared by everything that speaks to Slack."""

from collections.abc import Iterator
from typing import Any

from integrations.chat.message import Message
from integrations.slack import blocks

EVENT_TYPE = "aftercall_action"


def arguments(message: Message) -> dict[str, Any]:
    """Arguments of `chat.postMessage`; `metadata` carries the action's key, so that the message can be found again."""
    return {
        "channel": message.channel,
        "text": blocks.escape(message.headline, blocks.FALLBACK),
        "blocks": list(_blocks(message)),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"action_key": message.action_key}},
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _blocks(message: Message) -> Iterator[blocks.Block]:
    yield blocks.header(message.title)
    for label, text in message.sections:
        yield blocks.section(label, text)
    if message.facts:
        yield blocks.facts(message.facts)
    links = [(one.name, one.label, one.url) for one in message.buttons if len(one.url) <= blocks.URL]
    if links:
        yield blocks.buttons(links)
    if message.small_print:
        yield blocks.context(message.small_print)
