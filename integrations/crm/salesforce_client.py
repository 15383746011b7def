"""Salesforce's REST API: its own library says what is asked, the house's client how.

`simple-salesforce` knows paths, quoting and results. By itself it has no time-outs, hides `Retry-After` and puts whole
URLs into its errors; so the session that it is given goes through `RestClient`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import requests
from pydantic import Field, SecretStr
from simple_salesforce.api import Salesforce

from integrations.config import DestinationSettings, IntegrationSettings
from integrations.errors import DestinationUnavailable, Rejected, TransientError, Unreachable
from integrations.http import Answer, authorization, checked_url
from integrations.rendering import line
from integrations.rest import LONGEST_QUOTE, RestClient

SETTING = "AFTERCALL_SALESFORCE_CLIENT_SECRET"
VERSION = "62.0"
_HEADERS = ("content-type", "sforce-duplicate-rule-header")
# What Salesforce says by its codes, whatever the status (its reference "Status codes and error responses").
_LOCKED = frozenset({"UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT", "ROW_LOCKED"})
_NOT_NOW = frozenset(
    {
        "SERVER_UNAVAILABLE", "SERVICE_UNAVAILABLE", "UNKNOWN_EXCEPTION", "INTERNAL_SERVER_ERROR",
        "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", "ORG_IN_MAINTENANCE",
    }
)  # fmt: skip
_USED_UP = frozenset(
    {
        "REQUEST_LIMIT_EXCEEDED", "CONCURRENT_REQUEST_LIMIT_EXCEEDED", "EXCEEDED_MAX_CONCURRENT_REQUESTS",
        "TOO_MANY_APEX_REQUESTS",
    }
)  # fmt: skip
# Nothing gets through before a person does something in Salesforce.
_FOR_A_PERSON = frozenset(
    {
        "API_CURRENTLY_DISABLED", "API_DISABLED_FOR_ORG", "INACTIVE_ORG_OR_USER", "ORG_LOCKED",
        "STORAGE_LIMIT_EXCEEDED",
    }
)  # fmt: skip


class SalesforceSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    salesforce_url: str = Field(
        "", description="My Domain of AFTERCALL_CRM=salesforce: https://acme.my.salesforce.com."
    )
    salesforce_client_id: str = Field(
        "", description="Consumer key of an external client app with the client credentials flow."
    )
    salesforce_client_secret: SecretStr = Field(SecretStr(""), description="Its consumer secret.")
    salesforce_new: str = Field("Contact", description="What a new customer becomes: Contact or Lead.")
    salesforce_company: str = Field("-", description="Company of new leads, which Salesforce requires.")
    salesforce_key_field: str = Field(
        "CallObject",
        description="Text field of Salesforce's tasks that holds the action's key; best one of your own that is "
        "unique and an external id.",
    )


class Expired(DestinationUnavailable):
    """401: the session is over, or the app may not open one."""


class SalesforceClient(RestClient):
    """An org, with the session of an external client app (OAuth 2.0 client credentials); opened when first needed.

    Raises:
        DestinationUnavailable: if a setting is missing.
    """

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(SalesforceSettings)
        self._id = own_settings.salesforce_client_id.strip()
        self._secret = own_settings.salesforce_client_secret.get_secret_value().strip()
        if not (self._id and self._secret):
            raise DestinationUnavailable(
                f"set AFTERCALL_SALESFORCE_CLIENT_ID and {SETTING} to key and secret of an external client app"
            )
        url = checked_url(own_settings.salesforce_url.strip(), "AFTERCALL_SALESFORCE_URL").rstrip("/")
        super().__init__("Salesforce", settings, url, setting=SETTING)
        self.api = Salesforce(
            session_id="ours",
            instance_url=url,
            version=VERSION,
            session=_Session(self),
            object_pairs_hook=None,
        )

    def request(self, method: str, path: str = "", **arguments: Any) -> Answer:
        """Ask once; once more in a new session if the old one is over, because then nothing was done."""
        if "Authorization" not in self.headers:
            self.log_in()
        try:
            return super().request(method, path, **arguments)
        except Expired:
            self.log_in()
            return super().request(method, path, **arguments)

    def log_in(self) -> None:
        """Open a session; DestinationUnavailable, in Salesforce's words, if the app may not."""
        self.headers.pop("Authorization", None)
        form = {"grant_type": "client_credentials", "client_id": self._id, "client_secret": self._secret}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = super().request(
                "POST", "/services/oauth2/token", body=urlencode(form).encode(), headers=headers
            )
        except Rejected as error:
            raise DestinationUnavailable(
                f"{error}. Look at AFTERCALL_SALESFORCE_URL, _CLIENT_ID and _CLIENT_SECRET"
            ) from None
        self.headers |= authorization(str(self.part(answer.json(), "access_token")))

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """The failure kind of a status that is not 2xx."""
        if status == 401:
            return Expired(f"{message}. Look at {SETTING}")
        # Only the first code counts: what follows may quote what a stranger said.
        code = next(iter(message.partition(f"{status}: ")[2].split(":")), "")
        if code in _USED_UP:
            return super().kind(429, headers, message)
        if code in _FOR_A_PERSON:
            return DestinationUnavailable(f"{message}. Look at Salesforce's setup")
        if code in _NOT_NOW:
            return Unreachable(message)
        if code in _LOCKED:
            return TransientError(message)
        return Rejected(message) if status == 300 else super().kind(status, headers, message)

    def _words(self, answer: Answer) -> str:
        """Salesforce's errors are a list; those of its login an object."""
        try:
            content = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            content = []
        errors = content if isinstance(content, list) else [content]
        parts = [
            f"{one.get('errorCode') or one.get('error')}: {one.get('message') or one.get('error_description')}"
            for one in errors
            if isinstance(one, dict)
        ]
        return line("; ".join(parts), LONGEST_QUOTE) or super()._words(answer)


class _Session(requests.Session):
    """What `simple-salesforce` takes for a session of requests."""

    def __init__(self, client: SalesforceClient) -> None:
        super().__init__()
        self._client = client

    def request(  # type: ignore[override] # the library passes no more than this
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Ask through the client; its errors, not the library's, come out."""
        passed_on = {name: value for name, value in (headers or {}).items() if name.lower() in _HEADERS}
        answer = self._client.request(
            method, urlsplit(url).path, params=params, body=data.encode() if data else None, headers=passed_on
        )
        response = requests.Response()
        response.status_code, response._content = answer.status, answer.body
        if answer.body.strip():
            try:
                orjson.loads(answer.body)
            except orjson.JSONDecodeError:
                raise Unreachable(
                    f"Salesforce answered {answer.status} without the JSON that it promises", may_be_done=True
                ) from None
        return response
