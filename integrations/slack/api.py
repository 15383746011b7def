"""Slack's Web API through the house's HTTP client: no redirect gets the token, and no answer is without end.

Which method is called for what belongs to `integrations.chat.slack_bot`; what an error code means to `errors`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.errors import Rejected, Unreachable
from integrations.http import Answer, HttpClient, authorization, checked_url
from integrations.slack.errors import slack_error

SETTING = "AFTERCALL_SLACK_BOT_TOKEN"
_URL_SETTING = "AFTERCALL_SLACK_API_URL"
_TOO_MANY = 429


class SlackApiSettings(DestinationSettings):
    """How the Web API is reached."""

    slack_bot_token: SecretStr = Field(
        SecretStr(""), description="Token (xoxb-…) of AFTERCALL_CHAT=slack_bot."
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Slack's API; GovSlack has its own.")


class ThreadGone(Rejected):
    """Somebody deleted the message that the thread hung on."""


@dataclass(frozen=True)
class Reply:
    """A method's answer with `ok`, and its headers by lower-case name."""

    data: Mapping[str, Any]
    headers: Mapping[str, str]


class SlackApi(HttpClient):
    """The Web API with a bot's token.

    Raises:
        DestinationUnavailable: if there is no token, or AFTERCALL_SLACK_API_URL is no address.
    """

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(SlackApiSettings)
        token = needed(
            own_settings.slack_bot_token,
            f"set {SETTING} to the bot's token (xoxb-…); Slack shows it in the app's settings",
        )
        url = checked_url(own_settings.slack_api_url, _URL_SETTING).rstrip("/")
        setting = f"{SETTING} and {_URL_SETTING}"
        super().__init__("Slack", settings, url, setting=setting, headers=authorization(token))

    def call(
        self, method: str, where: str = "", *, form: Mapping[str, str] | None = None, json: Any = None
    ) -> Reply:
        """Call a method. Every failure is one of `integrations.errors`.

        Args:
            method: its name, for instance `chat.postMessage`.
            where: the Slack channel that it is about, for errors.
            form: its arguments as a form, which every method takes.
            json: its arguments as JSON instead.
        """
        if json is not None:
            body, kind = orjson.dumps(json), "application/json; charset=utf-8"
        else:
            body, kind = urlencode(form or {}).encode(), "application/x-www-form-urlencoded"
        answer = self.request("POST", f"/{method}", body=body, headers={"Content-Type": kind})
        headers = {name.lower(): value for name, value in answer.headers.items()}
        data = _object(answer.body)
        if 200 <= answer.status < 300 and data is not None and data.get("ok") is True:
            return Reply(data, headers)
        code = str((data or {}).get("error") or "")
        is_code = re.fullmatch(r"[a-z][a-z0-9_]*", code)
        if answer.status == _TOO_MANY or not is_code:
            super()._judged(answer)
            raise Unreachable(
                f"Slack answered {answer.status} for {method}, but not what it promises", may_be_done=True
            )
        place = f"{method} in {where}" if where else method
        if code == "thread_not_found":
            raise ThreadGone(f"Slack answered {code} for {place}")
        needed = str((data or {}).get("needed") or "")
        raise slack_error(code, place, setting=SETTING, headers=answer.headers, needed=needed)

    def _judged(self, answer: Answer) -> Answer:
        # Slack says in the body what is wrong, whatever the status: `call` judges.
        return answer


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
