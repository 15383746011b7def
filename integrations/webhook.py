"""A signed webhook behind any channel, for n8n, Zapier or your own service (Standard Webhooks).

    AFTERCALL_TICKETS=webhook
    AFTERCALL_WEBHOOK_URL=https://n8n.example.com/webhook/…
    AFTERCALL_WEBHOOK_SECRET=whsec_…

`webhook-id` is the action's key, so that a receiver can recognise a repeat; an update has an id of its own for each
content. What an action says is the channel's own rendering.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
from standardwebhooks import Webhook

from integrations.config import IntegrationSettings
from integrations.destinations import CannotBeAsked, CheckResult, Delivery, check_result
from integrations.errors import DestinationUnavailable, Rejected
from integrations.http import HttpClient, checked_url

NAME = "webhook"
LONGEST_ID = 200
# Nobody listens at this address (any more), or not for POST: so it is for the next action too.
_NO_LISTENER = frozenset({404, 405, 410})

Content = Callable[[Delivery], Mapping[str, Any]]


class WebhookDestination(CannotBeAsked):
    """Posts `{type, timestamp, data}`; every 2xx is a success, and an `id` in a JSON answer is kept.

    Args:
        settings: the URLs, the secrets and the time-outs.
        channel: whose address it is: the channel's own, if the settings name one, else that of all.
        content: what the channel has to say of an action.
        name: the name in the settings.

    Raises:
        DestinationUnavailable: if the URL or the secret is missing or unusable.
    """

    def __init__(
        self, settings: IntegrationSettings, channel: str, content: Content, name: str = NAME
    ) -> None:
        self.name, self._content = name, content
        own = getattr(settings, f"webhook_url_{channel}").get_secret_value().strip()
        setting = f"AFTERCALL_WEBHOOK_URL_{channel.upper()}" if own else "AFTERCALL_WEBHOOK_URL"
        url = checked_url(own or settings.webhook_url.get_secret_value().strip(), setting)
        self._signers = _signers(settings.webhook_secret.get_secret_value())
        self._open = partial(HttpClient, "The webhook's receiver", settings, url, setting=setting)
        self._client = self._open(wrong_for_all=_NO_LISTENER)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Post it, signed with every secret; returns the receiver's id, or the webhook's own."""
        event = self.body(delivery, external_id)
        identity = message_id(delivery.action_key, event["data"] if external_id else None)
        body = orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)
        # The signature's own time: receivers refuse what is older than some minutes.
        now = datetime.now(UTC)
        answer = self._client.request("POST", body=body, headers=self._headers(identity, now, body))
        return _id_in(answer.body) or external_id or identity

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """The event."""
        data = {
            "action_key": delivery.action_key,
            "channel": delivery.channel,
            "kind": delivery.kind,
            "source": delivery.source,
            "call_id": delivery.call_id,
            "external_id": external_id,
            "content": self._content(delivery),
        }
        return {
            "type": f"{delivery.kind}.{'updated' if external_id else 'created'}",
            "timestamp": delivery.at,
            "data": data,
        }

    def check(self) -> Iterator[CheckResult]:
        """Whether somebody listens, by OPTIONS, which no receiver takes for an event; posts nothing."""
        yield check_result("somebody listens", self._listens)

    def knock(self) -> None:
        """Return if somebody answers at the address; posts nothing. Raises Unreachable or RateLimited."""
        self._client.knock()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _listens(self) -> str:
        remark = "yes; whether it takes the signature shows with the first event"
        # A receiver that knows POST alone refuses OPTIONS by 405.
        client = self._open(wrong_for_all=_NO_LISTENER - {405})
        try:
            answer = client.request("OPTIONS")
        except Rejected:
            return remark
        finally:
            client.close()
        methods = {one.strip().upper() for one in answer.headers.get("Allow", "POST").split(",")}
        if not methods & {"POST", "*"}:
            raise Rejected(f"it takes {', '.join(sorted(methods))} and no POST")
        return remark

    def _headers(self, identity: str, now: datetime, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                signer.sign(identity, now, body.decode()) for signer in self._signers
            ),
        }


def message_id(action_key: str, update: Mapping[str, Any] | None) -> str:
    """The id under which every try of the same thing goes: the key, for an update with a digest of its content.

    Only what a header may hold; no full stop, because the signature divides its parts by it.
    """
    identity = quote(action_key, safe=":+@", errors="replace").replace(".", "%2E")
    if len(identity) > LONGEST_ID:
        identity = hashlib.sha256(action_key.encode("utf-8", "replace")).hexdigest()
    if update is None:
        return identity
    content = orjson.dumps(update, default=str, option=orjson.OPT_SORT_KEYS)
    return f"{identity}:{hashlib.sha256(content).hexdigest()[:16]}"


def _signers(secrets: str) -> list[Webhook]:
    try:
        keys = [_key(part.strip()) for part in secrets.split(",") if part.strip()]
    except (binascii.Error, ValueError):
        keys = []
    if not keys:
        raise DestinationUnavailable(
            "set AFTERCALL_WEBHOOK_SECRET to whsec_ and at least 24 bytes in base64; to make one: "
            "echo whsec_$(openssl rand -base64 32)"
        )
    return [Webhook(key) for key in keys]


def _key(secret: str) -> bytes:
    # Decoded here, strictly: the library drops what is not base64, and the two sides would sign differently.
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    if len(key) < 24:
        raise ValueError("too short")
    return key


def _id_in(body: bytes) -> str | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    identity = value.get("id") if isinstance(value, dict) else None
    is_id = isinstance(identity, str | int) and not isinstance(identity, bool) and identity != ""
    return str(identity) if is_id else None
