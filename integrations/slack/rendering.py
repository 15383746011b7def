"""What a Slack message says: the arguments of `chat.postMessage`, as Block Kit.

Which channel hears of what was decided in `sync_slack_messages`. Alerts about aftercall itself have a look of their
own: a problem says what was seen and what to do, its end says only how long it lasted.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Unsendable
from integrations.links import board, call_page
from integrations.rendering import Rendered, line, moment, prose
from integrations.slack import blocks

EVENT_TYPE = "aftercall_action"
ALERT = "pipeline_alert"
OVER = "Resolved: "
_PROBLEM, _RESOLVED = "🔴", "✅"
_LINKS = {"ticket": "Open the ticket", "contact": "Open the contact"}


def message(delivery: Delivery, settings: IntegrationSettings) -> dict[str, Any]:
    """Arguments of `chat.postMessage`; `metadata` carries the action's key, so that it can be found again.

    Raises:
        Unsendable: if no Slack channel is named.
        Paused: if the board's address is none.
    """
    told = delivery.payload
    channel = line(told.get("slack_channel"), 80)
    if not channel:
        raise Unsendable(
            f"Cannot post {line(delivery.kind)} to Slack: no channel is set. Add it to seeds/slack_channels.csv"
        )
    headline = line(told.get("headline"), 300) or line(delivery.kind).replace("_", " ").capitalize()
    looks = _alert if delivery.kind == ALERT else _about_a_call
    return {
        "channel": channel,
        "text": blocks.escape(headline, blocks.FALLBACK),
        "blocks": list(looks(delivery, headline, settings)),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"action_key": delivery.action_key}},
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def render(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """The message as the JSON that would be posted."""
    made = message(delivery, settings)
    headline = line(delivery.payload.get("headline"), 300)
    title = f"{made['channel']}: {headline or made['text']}"
    return Rendered("application/json", title, orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())


def _about_a_call(delivery: Delivery, headline: str, settings: IntegrationSettings) -> Iterator[blocks.Block]:
    told = delivery.payload
    icon = line(told.get("icon"), 8)
    yield blocks.header(f"{icon} {headline}" if icon else headline)
    summary = prose(told.get("summary"))
    # Said in the headline already, unless that had to be cut.
    if summary and not (summary in headline and len(headline) < blocks.HEADER - 4):
        yield blocks.section("Summary", summary)
    if told.get("action_needed"):
        yield blocks.section("Action needed", str(told["action_needed"]))
    started = moment(told.get("started_at"))
    named = {"Customer": told.get("customer"), "Agent": told.get("agent_id"), "Started": started}
    pairs = [(label, str(value)) for label, value in named.items() if value]
    if pairs:
        yield blocks.facts(pairs)
    buttons = [one for one in _links(delivery, settings) if len(one[2]) <= blocks.URL]
    if buttons:
        yield blocks.buttons(buttons)
    if delivery.call_id:
        yield blocks.context(f"Call {delivery.call_id} · {delivery.source}")


def _links(delivery: Delivery, settings: IntegrationSettings) -> Iterator[tuple[str, str, str]]:
    for name, label in _LINKS.items():
        if name in delivery.links:
            yield f"open_{name}", label, delivery.links[name]
    call = call_page(settings.board_url, delivery.source, delivery.call_id)
    if call:
        yield "open_call", "Open the call", call


def _alert(delivery: Delivery, headline: str, settings: IntegrationSettings) -> Iterator[blocks.Block]:
    told = delivery.payload
    is_over = headline.startswith(OVER)
    yield blocks.header(f"{_RESOLVED if is_over else _PROBLEM} {headline}")
    if told.get("summary"):
        yield blocks.section("What happened" if is_over else "What was seen", str(told["summary"]))
    if told.get("action_needed"):
        yield blocks.section("What to do", str(told["action_needed"]))
    if settings.board_url and not is_over:
        yield blocks.buttons([("open_board", "Open the board", f"{board(settings.board_url)}/actions")])
    yield blocks.context(f"aftercall · {moment(delivery.at)}")
