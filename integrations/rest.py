"""HTTP with systems whose records have addresses of their own: what 404 and 409 mean there, and their words.

Time-outs, connections and the other failure kinds are those of `integrations.http`; no vendor's paths belong here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from integrations.errors import Refused, Retryable
from integrations.http import Answer, HttpClient
from integrations.rendering import line

LONGEST_TOLD = 500


class Missing(Refused):
    """404 or 410: the record that was asked for is not there, not any more, or not for this key's eyes."""


class Conflict(Retryable):
    """409: somebody else was faster. After a look at what is there now it may work."""


class RestClient(HttpClient):
    """An `HttpClient` that raises Missing and Conflict, and quotes of an error's JSON only what it says.

    Args:
        told: the words in an error's JSON object; empty where it has none, then the body is quoted.
        arguments: those of `HttpClient`.
    """

    def __init__(
        self, *arguments: Any, told: Callable[[Mapping[str, Any]], str] = lambda error: "", **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._told = told

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """The failure kind of a status that is not 2xx."""
        if status in (404, 410) and status not in self.wrong_for_all:
            return Missing(message)
        if status == 409:
            return Conflict(message)
        return super().kind(status, headers, message)

    def change(self, method: str, path: str, json: Any) -> None:
        """Ask for something that is answered by nothing or a JSON object; Retryable for anything else, say a page."""
        answer = self.request(method, path, json=json)
        if answer.body.strip():
            answer.json()

    def listed(self, told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The list of objects that an answer promises; Retryable if there is none."""
        found = told.get(name)
        if not isinstance(found, list):
            raise Retryable(f"{self.system} answered without the list {name} that it promises")
        return [one for one in found if isinstance(one, dict)]

    def part(self, told: Mapping[str, Any], *names: str) -> Any:
        """What an answer promises at this place; Retryable if there is nothing."""
        found: Any = told
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            raise Retryable(f"{self.system} answered without the {'.'.join(names)} that it promises")
        return found

    def _judged(self, answer: Answer) -> Answer:
        if not 200 <= answer.status < 300:
            told = self._words(answer.body)
            if told:
                message = f"{self.system} answered {answer.status}: {told}"
                raise self.kind(answer.status, answer.headers, message)
        return super()._judged(answer)

    def _words(self, body: bytes) -> str:
        try:
            error = orjson.loads(body)
            return line(self._told(error), LONGEST_TOLD) if isinstance(error, dict) else ""
        except (ValueError, TypeError, AttributeError, KeyError):
            # Not the shape that its vendor describes: the body is quoted instead.
            return ""
