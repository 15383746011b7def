"""HTTP with systems whose records have addresses of their own: what 404 and 409 mean there, and their words.

Time-outs, connections and the other failure kinds are those of `integrations.http`; no vendor's paths belong here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from integrations.errors import Rejected, TransientError, Unreachable
from integrations.http import LONGEST_DETAILS, Answer, HttpClient
from integrations.rendering import line

LONGEST_QUOTE = 500


class Missing(Rejected):
    """404 or 410: the record that was asked for is not there, not any more, or not for this key's eyes."""


class Conflict(TransientError):
    """409: somebody else was faster. After a look at what is there now it may work.

    `details`: the system's whole answer, which may name the record that is there already. Never shown.
    """

    details = ""


class RestClient(HttpClient):
    """An `HttpClient` that raises Missing and Conflict, and quotes of an error's JSON only what it says.

    Args:
        words_of: the words in an error's JSON object; empty where it has none, then the body is quoted.
        arguments: those of `HttpClient`.
    """

    def __init__(
        self, *arguments: Any, words_of: Callable[[Mapping[str, Any]], str] = lambda error: "", **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._words_of = words_of

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """The failure kind of a status that is not 2xx."""
        if status in (404, 410) and status not in self.wrong_for_all:
            return Missing(message)
        if status == 409:
            return Conflict(message)
        return super().kind(status, headers, message)

    def change(self, method: str, path: str, json: Any) -> None:
        """Ask for something that is answered by nothing or a JSON object; Unreachable for anything else, say a page."""
        answer = self.request(method, path, json=json)
        if answer.body.strip():
            answer.json()

    def listed(self, answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The list of objects that an answer promises; Unreachable if there is none."""
        rows = answer.get(name)
        if not isinstance(rows, list):
            raise Unreachable(
                f"{self.system} answered without the list {name} that it promises", may_be_done=True
            )
        return [one for one in rows if isinstance(one, dict)]

    def part(self, answer: Mapping[str, Any], *names: str) -> Any:
        """What an answer promises at this place; Unreachable if there is nothing."""
        value: Any = answer
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            raise Unreachable(
                f"{self.system} answered without the {'.'.join(names)} that it promises", may_be_done=True
            )
        return value

    def _failure(self, answer: Answer, message: str) -> Exception:
        """The failure kind of an answer that is not 2xx; a conflict keeps the whole answer too."""
        error = super()._failure(answer, message)
        if isinstance(error, Conflict):
            error.details = answer.text[:LONGEST_DETAILS]
        return error

    def _words(self, answer: Answer) -> str:
        try:
            error = orjson.loads(answer.body)
            quoted = line(self._words_of(error), LONGEST_QUOTE) if isinstance(error, dict) else ""
        except (ValueError, TypeError, AttributeError, KeyError):
            # Not the shape that its vendor describes: the body is quoted instead.
            quoted = ""
        return quoted or super()._words(answer)
