"""A paginator that dlt lacks: pages of a list, newest first, by bounds of time alone.

Separate from its platform, because importing dlt's REST client takes half a second and a platform's name needs none.
"""

from typing import Any

from dlt.sources.helpers.requests import Request, Response
from dlt.sources.helpers.rest_client.paginators import BasePaginator

from receiver.sources.base import mapping, text


class OlderCalls(BasePaginator):
    """Pages by the creation of the oldest call so far."""

    def __init__(self, page: int) -> None:
        super().__init__()
        self._page = page
        self._bound: str | None = None
        self._is_stuck = False

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Continue after a full page. If all its calls were created at the same time, continue before that time."""
        created = [text(mapping(call).get("createdAt")) for call in data or []]
        oldest = min((value for value in created if value), default=None)
        self._has_next_page = len(created) >= self._page and oldest is not None
        if oldest is not None:
            self._is_stuck = oldest == self._bound
            self._bound = oldest

    def update_request(self, request: Request) -> None:
        """Ask up to and including the oldest call: a repeated call is harmless, a skipped one is lost."""
        params = dict(request.params or {})
        for name in ("createdAtLt", "createdAtLe"):
            params.pop(name, None)
        request.params = {**params, "createdAtLt" if self._is_stuck else "createdAtLe": self._bound}
