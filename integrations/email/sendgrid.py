"""Mail through SendGrid's v3 API (Mail Send).

    AFTERCALL_EMAILS=sendgrid
    AFTERCALL_SENDGRID_API_KEY=SG.…

SendGrid has no idempotency key, and what it sent can be looked up only with a paid extra, and late. So every try has
the same Message-ID, by which mailboxes recognise a repeat, and the action's key as a custom argument, by which a person
finds it in the activity feed. What a mail says is `rendering`, who gets none is `recipients`.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.destinations import CannotBeAsked, CheckResult, Delivery, Limits
from integrations.email.checking import content
from integrations.email.recipients import permitted
from integrations.email.rendering import bodies
from integrations.errors import DestinationUnavailable, RateLimited, TransientError, Unreachable
from integrations.http import authorization, checked_url
from integrations.rendering import line
from integrations.rest import RestClient

_KEY = "AFTERCALL_SENDGRID_API_KEY"
_SCOPE = "mail.send"
_ACCEPTED = 202
# Something else answers at this address: so it will for the next mail.
_NO_SUCH_PATH = frozenset({404, 405})
# The others are fields of the request, or SendGrid's own.
_HEADERS = (
    "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted", "X-Auto-Response-Suppress",
)  # fmt: skip
# SendGrid would replace every link, add a picture to count readers and a footer of its own.
_UNTOUCHED = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}


class SendGridSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    sendgrid_api_key: SecretStr = Field(
        SecretStr(""), description="Key (SG.…) of AFTERCALL_EMAILS=sendgrid; it needs the scope mail.send."
    )
    sendgrid_url: str = Field(
        "https://api.sendgrid.com", description="SendGrid's API; in the EU https://api.eu.sendgrid.com."
    )


def open_destination(settings: IntegrationSettings) -> "SendGrid":
    """The account that the key belongs to."""
    return SendGrid(settings)


class SendGrid(CannotBeAsked):
    """An account of SendGrid.

    Raises:
        DestinationUnavailable: if there is no key.
    """

    name = "sendgrid"
    # Mail Send documents no limit; too many requests get a 429 with the time to go on.
    limits = Limits(concurrency=8)

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(SendGridSettings)
        key = needed(
            own_settings.sendgrid_api_key,
            f"set {_KEY} to an API key with the scope {_SCOPE}; SendGrid shows it once",
        )
        self._settings = settings
        self._client = _Client(
            "SendGrid",
            settings,
            checked_url(own_settings.sendgrid_url, "AFTERCALL_SENDGRID_URL").rstrip("/"),
            setting=f"{_KEY}, AFTERCALL_SENDGRID_URL and the verified senders of your account",
            headers=authorization(key),
            wrong_for_all=_NO_SUCH_PATH,
            words_of=_words,
        )

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Hand the mail over; returns SendGrid's message id, or the Message-ID if it gives none."""
        mail = permitted(delivery, self._settings)
        answer = self._client.request("POST", "/v3/mail/send", json=request_of(mail, delivery))
        if answer.status != _ACCEPTED:
            raise Unreachable(
                f"SendGrid answered {answer.status}, not {_ACCEPTED}: {line(answer.text, 200)}",
                may_be_done=True,
            )
        return answer.headers.get("X-Message-Id") or str(mail["Message-ID"])

    def body(self, delivery: Delivery, external_id: str | None) -> dict[str, Any]:
        """The body of Mail Send."""
        return request_of(permitted(delivery, self._settings), delivery)

    def check(self) -> Iterator[CheckResult]:
        """Whether the key is taken and may send, and whether there is something to send."""
        try:
            scopes = self._client.request("GET", "/v3/scopes").json().get("scopes")
        except (DestinationUnavailable, TransientError) as error:
            yield CheckResult("credentials", False, str(error))
        else:
            yield CheckResult("credentials", True, "SendGrid takes the key")
            may = isinstance(scopes, list) and _SCOPE in scopes
            yield CheckResult(
                "may send",
                may,
                _SCOPE if may else f"give the key the scope {_SCOPE} (Mail Send: full access)",
            )
        yield from content(self._settings)

    def knock(self) -> None:
        """Return if SendGrid answers; sends nothing. Raises Unreachable or RateLimited."""
        self._client.knock()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _Client(RestClient):
    """SendGrid's own header says when to go on, as a Unix time."""

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """As for every system; a 429 without Retry-After waits for X-RateLimit-Reset."""
        failure = super().kind(status, headers, message)
        reset = headers.get("X-RateLimit-Reset", "")
        if (
            isinstance(failure, RateLimited)
            and failure.after is None
            and reset.isdecimal()
            and len(reset) <= 12
        ):
            wait = datetime.fromtimestamp(int(reset), UTC) - datetime.now(UTC)
            return RateLimited(message, max(timedelta(0), wait))
        return failure


def request_of(mail: EmailMessage, delivery: Delivery) -> dict[str, Any]:
    """The body of Mail Send for a mail: its own words, sender and headers, and nothing that SendGrid would add."""
    text, html = bodies(mail)
    request = {
        "personalizations": [
            {
                "to": [_mailbox(mail["To"].addresses[0])],
                "custom_args": {"action_key": line(delivery.action_key, 500)},
            }
        ],
        "from": _mailbox(mail["From"].addresses[0]),
        "subject": str(mail["Subject"]),
        "content": [{"type": "text/plain", "value": text}, {"type": "text/html", "value": html}],
        "headers": {name: str(mail[name]) for name in _HEADERS if mail[name]},
        "categories": [line(delivery.payload.get("template"))],
        "tracking_settings": _UNTOUCHED,
    }
    if mail["Reply-To"]:
        request["reply_to"] = _mailbox(mail["Reply-To"].addresses[0])
    return request


def _mailbox(address: Address) -> dict[str, str]:
    named = {"name": address.display_name} if address.display_name else {}
    return {"email": address.addr_spec, **named}


def _words(error: Mapping[str, Any]) -> str:
    """`{"errors": [{"message": …, "field": …}]}` as a sentence; SendGrid says `null` as a word too."""
    complaints = ((one.get("message"), one.get("field")) for one in error["errors"])
    return "; ".join(
        f"{words} ({where})" if where not in (None, "null") else f"{words}" for words, where in complaints
    )
