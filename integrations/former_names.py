"""Names that aftercall used before and still accepts. New code and documentation use the new ones.

| was | is |
|---|---|
| channel `slack` | `chat` |
| its destinations `bot`, `webhook` | `slack_bot`, `slack_webhook` |
| `AFTERCALL_SLACK`, and the settings in `SETTINGS` | `AFTERCALL_CHAT`, … |

Rows that an outbox holds under the old names are renamed once, by a migration.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from pydantic import AliasChoices

PREFIX = "AFTERCALL_"
CHANNELS = {"slack": "chat"}
DESTINATIONS = {"chat": {"bot": "slack_bot", "webhook": "slack_webhook"}}
SETTINGS = {
    "AFTERCALL_SLACK": "AFTERCALL_CHAT",
    "AFTERCALL_SLACK_ALERT_CHANNEL": "AFTERCALL_CHAT_ALERT_CHANNEL",
    "AFTERCALL_SLACK_MAX_AGE_HOURS": "AFTERCALL_CHAT_MAX_AGE_HOURS",
    "AFTERCALL_WEBHOOK_URL_SLACK": "AFTERCALL_WEBHOOK_URL_CHAT",
}


def channel(name: str) -> str:
    """The present name of a channel."""
    return CHANNELS.get(name, name)


def destination(of_channel: str, name: str) -> str:
    """The present name of a channel's destination."""
    return DESTINATIONS.get(channel(of_channel), {}).get(name, name)


def limit_names(name: str) -> Iterator[str]:
    """Names under which `destinations.toml` may hold a destination's limits, the present one first."""
    yield name
    for renamed in DESTINATIONS.values():
        yield from (old for old, new in renamed.items() if new == name)


def either(setting: str) -> AliasChoices:
    """The environment variables that hold a setting, the present name first: it wins if both are set."""
    present = f"{PREFIX}{setting.upper()}"
    return AliasChoices(present, *(old for old, new in SETTINGS.items() if new == present))


def in_use(env_file: str) -> dict[str, str]:
    """Old names that the environment or `.env` sets, with what to write instead."""
    names = {name.upper() for name in os.environ}
    if Path(env_file).is_file():
        names |= {name.upper() for name in dotenv_values(env_file)}
    return {old: new for old, new in SETTINGS.items() if old in names}
