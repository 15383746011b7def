"""Tryton's REST protocol: records of a model are searched, read, made, changed and deleted.

What a record says belongs to `tryton`. Tryton answers a model or field that it does not know with an error 500 and a
page that holds nothing but the name.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.errors import DestinationUnavailable, Unreachable
from integrations.http import checked_url
from integrations.rest import Missing, RestClient

SETTING = "AFTERCALL_TRYTON_KEY"


class TrytonSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    tryton_url: str = Field(
        "", description="Address and database of AFTERCALL_CRM=tryton: https://tryton.example.com/crm."
    )
    tryton_key: SecretStr = Field(SecretStr(""), description="Key of a user application `rest` in Tryton.")
    tryton_company: int = Field(1, description="Id of the company in Tryton whose tasks are made.")
    tryton_web_url: str = Field("", description="Address of Tryton's web client, for links to its records.")


class Tryton(RestClient):
    """A database, as the user of the key sees it.

    Raises:
        DestinationUnavailable: if address or key is missing.
    """

    answers_pages = True

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(TrytonSettings)
        key = needed(own_settings.tryton_key, f"set {SETTING} to the key of a user application `rest`")
        url = checked_url(own_settings.tryton_url.strip(), "AFTERCALL_TRYTON_URL").rstrip("/")
        self.database = url.rpartition("/")[2]
        super().__init__(
            "Tryton",
            settings,
            f"{url}/rest/model",
            setting=SETTING,
            headers={"Authorization": f"bearer {key}"},
            words_of=lambda error: str(error.get("message") or ""),
        )

    def search(
        self, model: str, domain: Sequence[Any], fields: Sequence[str], most: int = 200
    ) -> list[dict[str, Any]]:
        """Records of a model that the domain lets through, the oldest first."""
        params = {"d": _encoded(domain), "o": _encoded([["id", "ASC"]]), "s": str(most)}
        answer = self._asked("GET", model, fields, params=params)
        records = answer if isinstance(answer, list) else [None]
        if not all(isinstance(one, dict) and "id" in one for one in records):
            raise Unreachable(f"Tryton answered a search for {model} with something else than records")
        return records

    def get(self, model: str, identity: str, fields: Sequence[str]) -> dict[str, Any] | None:
        """A record; None if there is none, or none that the user may see."""
        if not (identity.isascii() and identity.isdigit()):
            return None
        try:
            return self._record("GET", f"{model}/{identity}", fields)
        except Missing:
            return None

    def create(self, model: str, values: Mapping[str, Any]) -> str:
        """A new record's id."""
        return str(self._record("POST", model, ["id"], values)["id"])

    def update(self, model: str, identity: str, values: Mapping[str, Any]) -> None:
        """Change these values; Missing if there is no such record."""
        self._record("PUT", f"{model}/{identity}", ["id"], values)

    def delete(self, model: str, identity: str) -> None:
        """Delete it; Missing if there is no such record."""
        self.change("DELETE", f"/{model}/{identity}", None)

    def rights(self, models: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What the user may do with the records of models: read, write, create, delete. Asks only."""
        answer = self._asked("POST", "ir.model.access/get_access", [], json={"models": list(models)})
        if not isinstance(answer, dict) or not all(isinstance(answer.get(model), dict) for model in models):
            raise Unreachable("Tryton answered a question for rights with something else")
        return answer

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """A model that is not there is no accident: its module is not activated."""
        unknown = re.search(r"'([a-z]+\.[a-z.]+)'$", message) if status == 500 else None
        if unknown:
            return DestinationUnavailable(
                f"Tryton knows no {unknown[1]}: activate the module that brings it (party, project)"
            )
        return super().kind(status, headers, message)

    def _record(
        self, method: str, path: str, fields: Sequence[str], values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        answer = self._asked(method, path, fields, json=values)
        if not isinstance(answer, dict) or "id" not in answer:
            raise Unreachable(f"Tryton answered {method} {path} with something else than a record")
        return answer

    def _asked(
        self,
        method: str,
        path: str,
        fields: Sequence[str],
        params: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Any:
        named = "&".join(f"f={field}" for field in fields)
        try:
            answer = self.request(method, f"/{path}?{named}", params=params, json=json)
        except Missing:
            if "/" in path:
                raise
            # A list is always there: it is the database that is not.
            raise DestinationUnavailable(
                "Tryton has no such database. Look at AFTERCALL_TRYTON_URL"
            ) from None
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            raise Unreachable(f"Tryton answered {method} {path} without the JSON that it promises") from None


def escaped(text: str) -> str:
    """Text for `like` and `ilike`, in which no character stands for others."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _encoded(value: Any) -> str:
    return urlsafe_b64encode(orjson.dumps(value)).decode()
