"""What a Slack message says: the arguments of `chat.postMessage`, as Block Kit.

Which channel hears of what was decided in `sync_slack_messages`; alerts about aftercall itself look the same.
"""

from typing import Any

import orjson

from integrations.destinations import Delivery
from integrations.errors import Refused
from integrations.rendering import Rendered, line
from integrations.slack import blocks

EVENT_TYPE = "aftercall_action"


def message(delivery: Delivery) -> dict[str, Any]:
    """Arguments of `chat.postMessage`; `metadata` carries the action's key, so that it can be found again.

    Raises:
        Refused: if no Slack channel is named.
    """
    told = delivery.payload
    channel = line(told.get("slack_channel"), 80)
    if not channel:
        raise Refused("no Slack channel is named; see the seed of channels")
    headline = line(told.get("headline"), 300) or line(delivery.kind).replace("_", " ").capitalize()
    return {
        "channel": channel,
        "text": blocks.escape(headline, blocks.FALLBACK),
        "blocks": _blocks(delivery, headline),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"action_key": delivery.action_key}},
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def render(delivery: Delivery) -> Rendered:
    """The message as the JSON that would be posted."""
    made = message(delivery)
    headline = line(delivery.payload.get("headline"), 300)
    title = f"{made['channel']}: {headline or made['text']}"
    return Rendered("application/json", title, orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())


def _blocks(delivery: Delivery, headline: str) -> list[blocks.Block]:
    told = delivery.payload
    made = [blocks.header(headline)]
    if told.get("summary"):
        made.append(blocks.section("Summary", str(told["summary"])))
    if told.get("action_needed"):
        made.append(blocks.section("Action needed", str(told["action_needed"])))
    named = (("Customer", "customer"), ("Agent", "agent_id"), ("Started (UTC)", "started_at"))
    pairs = [(label, str(told[name])) for label, name in named if told.get(name)]
    if pairs:
        made.append(blocks.facts(pairs))
    if delivery.call_id:
        made.append(blocks.context(f"Call {delivery.call_id} · {delivery.source}"))
    return made
