"""Who may see the board, and whether a request was made from the board's own pages.

Checked for every request before it reaches a page, the stream included.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from integrations.board.config import BoardSettings
from receiver.config import is_loopback
from receiver.networks import Address, contains

LONGEST_NAME = 80


class NotAllowed(Exception):
    """The request is refused; `status` is 401 where a password would help."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotSafe(SystemExit):
    """The board would be open to others."""


@dataclass(frozen=True)
class User:
    """Who is there; `is_known` is false where nobody was asked."""

    name: str
    is_known: bool


class Access:
    """The rules that the settings make."""

    def __init__(self, settings: BoardSettings) -> None:
        self._settings = settings
        self._key = secrets.token_bytes(32)

    def user(self, peer: str, headers: Mapping[str, str]) -> User:
        """Who sends a request. Header names are lower case. Raises NotAllowed."""
        settings = self._settings
        if settings.is_open:
            self._refuse_other_names(headers.get("host", ""))
            return User("someone at this machine", is_known=False)
        if settings.board_user_header and contains(settings.proxies, _address(peer)):
            name = _name(headers.get(settings.board_user_header.lower(), ""))
            if name:
                return User(name, is_known=True)
        if settings.password:
            name = self._by_password(headers.get("authorization", ""))
            if name:
                return User(name, is_known=True)
            raise NotAllowed(401, "The board needs its password (AFTERCALL_BOARD_PASSWORD) and any name.")
        raise NotAllowed(403, f"The proxy in front has to name the user in {settings.board_user_header}.")

    def token(self, user: User) -> str:
        """What a form of the board carries; another site's page cannot know it."""
        return hmac.new(self._key, user.name.encode(), hashlib.sha256).hexdigest()

    def is_own(self, user: User, token: str, headers: Mapping[str, str]) -> bool:
        """Whether a form was sent from a page of the board."""
        origin = headers.get("origin", "")
        is_same = origin in ("", "null") or urlsplit(origin).netloc == headers.get("host", "")
        is_near = headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        return is_same and is_near and hmac.compare_digest(token.encode(), self.token(user).encode())

    def _refuse_other_names(self, host: str) -> None:
        # a page elsewhere can point a name of its own at 127.0.0.1 and would read the board as its own
        if not is_loopback(_host(host)):
            raise NotAllowed(
                403, "The board is open at this machine's own addresses only, such as 127.0.0.1."
            )

    def _by_password(self, header: str) -> str:
        scheme, _, value = header.partition(" ")
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        is_right = hmac.compare_digest(password.encode(), self._settings.password.encode())
        return (_name(name) or "someone with the password") if scheme.lower() == "basic" and is_right else ""


def refuse_open(settings: BoardSettings) -> None:
    """Raises NotSafe where others could reach a board that asks nobody who they are."""
    if settings.is_open and not settings.is_loopback:
        raise NotSafe(
            f"the board does not listen on {settings.board_bind}: others could reach it. Set "
            "AFTERCALL_BOARD_PASSWORD, or AFTERCALL_BOARD_USER_HEADER behind a reverse proxy, or listen on 127.0.0.1"
        )


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _name(value: str) -> str:
    return " ".join("".join(char for char in value if char.isprintable()).split())[:LONGEST_NAME]


def _address(peer: str) -> Address | None:
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
