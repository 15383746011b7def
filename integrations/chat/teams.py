"""Microsoft Teams: Adaptive Cards through incoming webhooks, which Teams' app Workflows makes.

    AFTERCALL_CHAT=teams
    AFTERCALL_TEAMS_WEBHOOK_URL=#support=https://….logic.azure.com/…,https://….logic.azure.com/…

In Teams: the channel's menu, Workflows, "Post to a channel when a webhook request is received"; it shows the URL. The
webhooks of Teams' former connectors work too. Neither can say what it has posted, so aftercall cannot recognise a
repeat.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from pydantic import Field, SecretStr

from integrations.chat.incoming_webhooks import IncomingWebhooks
from integrations.chat.message import Message, channel_of, message
from integrations.config import DestinationSettings, IntegrationSettings
from integrations.destinations import Delivery, Limits
from integrations.errors import DestinationUnavailable, RateLimited, Rejected, Unreachable
from integrations.http import Answer
from integrations.rendering import line, prose, unlinked

_SETTING = "AFTERCALL_TEAMS_WEBHOOK_URL"
# A message may have 28 KB (Microsoft, "Limits and specifications for Teams").
LARGEST = 28_000
# Room for the text of a section, tried in this order until the message is small enough.
_ROOMS = (8_000, 2_000, 500)
# A card shows six buttons (Microsoft, "Types of cards").
BUTTONS, LONGEST_URL = 6, 2_000
HEADLINE, FACT, LINES = 300, 300, 40
# Workflows answers these codes with 400, but no message would get through (Azure Logic Apps).
_WRONG_FOR_ALL = ("WorkflowTriggerIsNotEnabled", "WorkflowDisabled", "TriggerNotEnabled")
# The former connectors answer 200 and say in the text that Teams refused the message.
_REFUSED = re.compile(r"HTTP error (\d{3})")

Part = dict[str, Any]


class TeamsSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    teams_webhook_url: SecretStr = Field(
        SecretStr(""),
        description="Incoming webhooks of AFTERCALL_CHAT=teams, comma separated: #channel=URL, and one URL alone for "
        "every other channel.",
    )


def open_destination(settings: IntegrationSettings) -> "Teams":
    """The incoming webhooks that the settings name."""
    return Teams(settings)


class Teams(IncomingWebhooks):
    """A tenant's webhooks."""

    name = "teams"
    # Teams takes four requests a second from a webhook; one a second leaves room for others.
    limits = Limits(concurrency=1, per_second=1.0)

    def __init__(self, settings: IntegrationSettings) -> None:
        urls = settings.of(TeamsSettings).teams_webhook_url.get_secret_value()
        super().__init__("Teams", settings, urls, _SETTING)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Post the card; returns the action's key, because Teams gives no id."""
        client = self.client(channel_of(delivery))
        try:
            _check(client.request("POST", json=self.body(delivery, external_id)))
        except (Rejected, DestinationUnavailable) as error:
            if any(code in str(error) for code in _WRONG_FOR_ALL):
                raise self.of_one(DestinationUnavailable(f"{error}. Turn the workflow on in Teams")) from None
            raise self.of_one(error) from None
        return f"webhook:{delivery.action_key}"

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """What is posted: a message with one card, small enough for Teams."""
        content = message(delivery, self._settings)
        for room in _ROOMS:
            body = _posted(_card(content, room))
            if len(orjson.dumps(body)) <= LARGEST:
                break
        return body


def _posted(card: Part) -> dict[str, Any]:
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _card(content: Message, room: int) -> Part:
    card: Part = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": list(_body(content, room)),
    }
    actions = [
        {"type": "Action.OpenUrl", "title": button.label, "url": button.url}
        for button in content.buttons
        if len(button.url) <= LONGEST_URL
    ]
    return card | ({"actions": actions[:BUTTONS]} if actions else {})


def _body(content: Message, room: int) -> Iterator[Part]:
    yield _block([_run(line(content.title, HEADLINE), weight="Bolder", size="Large")])
    for label, text in content.sections:
        yield _block([_run(label, weight="Bolder")], spacing="Medium")
        for paragraph in _paragraphs(prose(text, room)):
            yield _block([_run(paragraph)], spacing="None")
    for label, text in content.facts:
        yield _block([_run(f"{label}: ", weight="Bolder"), _run(line(text, FACT))], spacing="Small")
    if content.small_print:
        yield _block([_run(line(content.small_print, FACT), size="Small", isSubtle=True)], spacing="Medium")


def _paragraphs(text: str) -> list[str]:
    """The lines that are not empty; the last holds all beyond the most that a card gets."""
    lines = [shown for one in text.splitlines() if (shown := line(one, len(one)))]
    return lines[: LINES - 1] + ([" ".join(lines[LINES - 1 :])] if len(lines) >= LINES else [])


def _block(runs: list[Part], **look: Any) -> Part:
    return {"type": "RichTextBlock", "inlines": runs, **look}


def _run(text: str, **look: Any) -> Part:
    # A TextRun shows Markdown as it stands; a TextBlock or a FactSet would make links of it. Teams may make one of a
    # bare address all the same.
    return {"type": "TextRun", "text": unlinked(text) or "-", **look}


def _check(answer: Answer) -> None:
    """Return if Teams took the message: Workflows answers 202 and nothing, the former connectors `1`."""
    text = answer.text.strip()
    if text in ("", "1"):
        return
    problem = f"{answer.system} answered {answer.status}, but not that it took the message: {line(text, 200)}"
    refused = _REFUSED.search(text)
    if refused is None:
        raise Unreachable(problem, may_be_done=True)
    status = int(refused[1])
    if status == 429:
        raise RateLimited(problem)
    if status >= 500:
        raise Unreachable(problem)
    raise Rejected(problem)
