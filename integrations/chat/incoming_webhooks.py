"""Incoming webhooks: URLs that each post into one chat channel, and cannot be asked what they have posted.

Settings write them as `#vip=URL,#alerts=URL,URL`, where the last, without a channel, is for every other one. What is
posted, and what an answer means, belongs to the destination.
"""

import re

from integrations.config import IntegrationSettings
from integrations.destinations import CannotBeAsked
from integrations.errors import DestinationUnavailable, Forbidden
from integrations.http import HttpClient, checked_url

_EVERY_OTHER = ""
_PAIR = re.compile(r"(?:(?P<channel>[^=:/\s]+)=)?(?P<url>\S+)")


class IncomingWebhooks(CannotBeAsked):
    """A client for each webhook; the base of a destination.

    Args:
        system: the system's name in errors.
        settings: time-outs.
        urls: the setting's value.
        setting: its name.

    Raises:
        DestinationUnavailable: if no webhook is named, or one is no URL.
    """

    def __init__(self, system: str, settings: IntegrationSettings, urls: str, setting: str) -> None:
        self._system, self._settings, self._setting = system, settings, setting
        self._urls = _urls(urls, setting)
        self._clients: dict[str, HttpClient] = {}

    def knock(self) -> None:
        """Return if the system answers at the first address; posts nothing. Raises Unreachable or RateLimited."""
        self.client(next(iter(self._urls)) or "#").knock()

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()

    def channels(self) -> tuple[str, ...]:
        """The channels with a webhook of their own; an empty name stands for every other one."""
        return tuple(self._urls)

    def client(self, channel: str) -> HttpClient:
        """The client of a channel's webhook. Raises Forbidden if it has none: others may have one."""
        url = self._urls.get(channel.lower()) or self._urls.get(_EVERY_OTHER)
        if url is None:
            raise Forbidden(f"there is no webhook for {channel}: add {channel}=URL to {self._setting}")
        if url not in self._clients:
            name = f"{self._system}'s webhook for {channel}"
            self._clients[url] = HttpClient(name, self._settings, url, setting=self._setting)
        return self._clients[url]

    def of_one(self, error: Exception) -> Exception:
        """The error as one of this webhook alone: of several, one may be gone while the others work."""
        is_one_of_many = isinstance(error, DestinationUnavailable) and len(set(self._urls.values())) > 1
        return Forbidden(str(error)) if is_one_of_many else error


def _urls(value: str, setting: str) -> dict[str, str]:
    urls = {}
    for part in (part.strip() for part in value.split(",")):
        pair = _PAIR.fullmatch(part)
        if pair:
            urls[(pair["channel"] or _EVERY_OTHER).lower()] = checked_url(pair["url"], setting)
    if not urls:
        raise DestinationUnavailable(f"set {setting} to the URL of an incoming webhook")
    return urls
