"""A paginator that dlt has not: a list, newest first, that knows only bounds of time.

Apart from its platform, so that whoever wants a platform's name need not import dlt's REST client (half a second).
"""

from typing import Any

from dlt.sources.helpers.requests import Request, Response
from dlt.sources.helpers.rest_client.paginators import BasePaginator

from receiver.sources.base import mapping, text


class OlderCalls(BasePaginator):
    """Pages of a list that is newest first and knows only bounds of time."""

    def __init__(self, page: int) -> None:
        super().__init__()
        self._page = page
        self._bound: str | None = None
        self._is_stuck = False

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """A full page may not be the last. One whose calls were all created at once is stepped over."""
        created = [text(mapping(call).get("createdAt")) for call in data or []]
        oldest = min((value for value in created if value), default=None)
        self._has_next_page = len(created) >= self._page and oldest is not None
        if oldest is not None:
            self._is_stuck = oldest == self._bound
            self._bound = oldest

    def update_request(self, request: Request) -> None:
        """Up to and including the oldest: the same call twice is one, a call left out is lost."""
        params = dict(request.params or {})
        for name in ("createdAtLt", "createdAtLe"):
            params.pop(name, None)
        request.params = {**params, "createdAtLt" if self._is_stuck else "createdAtLe": self._bound}
