"""Addresses under which people open the board's pages, as `AFTERCALL_BOARD_URL` says. The pages belong to `board`."""

from urllib.parse import quote

from integrations.errors import DestinationUnavailable
from integrations.http import checked_url


def board(setting: str) -> str:
    """The board's address without a stroke at its end. Raises DestinationUnavailable if it is none."""
    url = checked_url(setting.strip(), "AFTERCALL_BOARD_URL").rstrip("/")
    if set(url) & set("<>|\"' "):
        raise DestinationUnavailable(
            "set AFTERCALL_BOARD_URL to the address under which people open the board, for instance https://…"
        )
    return url


def call_page(setting: str, source: str | None, call_id: str | None) -> str:
    """The page of a call; empty without a board or a call."""
    if not setting.strip() or not call_id:
        return ""
    return f"{board(setting)}/calls/{quote(str(source), safe='')}/{quote(call_id, safe='')}"
