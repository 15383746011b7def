"""Who may see a web page of aftercall, and whether a request was made from one of its own pages.

The board asks before it answers anything, and so does the server in front of Dagster's. Which requests there are
belongs to them.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from integrations.board.config import Guarded
from integrations.board.home_token import home_token
from receiver.networks import address_of, contains, is_loopback

LONGEST_NAME = 80
TOKEN_PARAMETER = "token"  # noqa: S105 - the name of a parameter, not a secret
COOKIE_SECONDS = 30 * 24 * 3600
_OWN_SITE = ("same-origin", "none")


class NotAllowed(Exception):
    """The request is refused; `status` is 401 where a password or the token would help."""

    def __init__(self, status: int, message: str, challenge: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.challenge = challenge

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the answer carries beside its text; a browser asks for a password only where one is set."""
        return [("www-authenticate", self.challenge)] if self.challenge else []


class NotSafe(SystemExit):
    """The page would be open to others."""


@dataclass(frozen=True)
class User:
    """Who is there.

    Args:
        name: as the password's prompt or the proxy has it.
        is_known: false where the token alone let them in.
        is_new: whether the token or the password came with this request, and not a cookie.
    """

    name: str
    is_known: bool
    is_new: bool = False


class Access:
    """The rules that the settings make. Raises NoToken where the token is needed and cannot be kept."""

    def __init__(self, settings: Guarded) -> None:
        self._settings = settings
        self._form_key = secrets.token_bytes(32)
        self._token = home_token(settings) if settings.is_open else ""
        secret = self._token or settings.password
        self._cookie_key = hashlib.sha256(f"cookie {secret}".encode()).digest() if secret else b""
        # browsers send a cookie to every port of a host, so that two homes need two names
        self._cookie_name = f"aftercall-{hashlib.sha256(b'name ' + self._cookie_key).hexdigest()[:12]}"

    def user(self, peer: str, headers: Mapping[str, str], query: str = "") -> User:
        """Who sends a request. Header names are lower case, `query` is as it was sent. Raises NotAllowed."""
        settings = self._settings
        if settings.is_open:
            return self._by_token(headers, query)
        if settings.board_user_header and contains(settings.proxies, address_of(peer)):
            name = _name(headers.get(settings.board_user_header.lower(), ""))
            if name:
                return User(name, is_known=True)
        if not settings.password:
            raise NotAllowed(403, f"The proxy in front has to name the user in {settings.board_user_header}.")
        name = self._by_password(headers.get("authorization", ""))
        if name:
            return User(name, is_known=True, is_new=True)
        name = self._by_cookie(headers) or ""
        if name:
            return User(name, is_known=True)
        raise NotAllowed(
            401,
            f"{settings.title} needs its password ({settings.password_setting}) and any name.",
            'Basic realm="aftercall", charset="UTF-8"',
        )

    def cookie(self, user: User) -> list[tuple[str, str]]:
        """The header that lets this browser in from now on; empty where the request came with a cookie already."""
        if not user.is_new:
            return []
        name = base64.urlsafe_b64encode(user.name.encode()).decode()
        rules = f"Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"
        return [("set-cookie", f"{self._cookie_name}={name}.{self._sign(name)}; {rules}")]

    def token(self, user: User) -> str:
        """What a form of the board carries; another site's page cannot know it."""
        return hmac.new(self._form_key, user.name.encode(), hashlib.sha256).hexdigest()

    def is_own(self, user: User, token: str, headers: Mapping[str, str]) -> bool:
        """Whether a form was sent from a page of the board."""
        origin = headers.get("origin", "")
        is_same = origin in ("", "null") or is_same_origin(headers)
        is_near = headers.get("sec-fetch-site", "same-origin") in _OWN_SITE
        return is_same and is_near and hmac.compare_digest(token.encode(), self.token(user).encode())

    def _by_token(self, headers: Mapping[str, str], query: str) -> User:
        self._refuse_other_names(headers.get("host", ""))
        name = "someone at this machine"
        if self._has_token(headers.get("authorization", ""), query):
            return User(name, is_known=False, is_new=True)
        if self._by_cookie(headers) is not None:
            return User(name, is_known=False)
        raise NotAllowed(
            401,
            f"{self._settings.title} asks for its token. Open the address that `aftercall up` printed; "
            "`aftercall board --address` prints it again. Programs send `Authorization: Bearer TOKEN`, "
            f"or `?{TOKEN_PARAMETER}=TOKEN`.",
            'Bearer realm="aftercall"',
        )

    def _refuse_other_names(self, host: str) -> None:
        # a page elsewhere can point a name of its own at 127.0.0.1 and would read the board as its own
        if not is_loopback(_host(host)):
            raise NotAllowed(
                403,
                f"{self._settings.title} answers at this machine's own addresses only, such as 127.0.0.1. To show it "
                f"under another name, set {self._settings.password_setting}.",
            )

    def _has_token(self, authorization: str, query: str) -> bool:
        """Whether the request carries the token: as a parameter, a bearer's or the password of any name."""
        scheme, _, value = authorization.partition(" ")
        claimed = [given for name, given in parse_qsl(query) if name == TOKEN_PARAMETER]
        if scheme.lower() in ("bearer", "token"):
            claimed.append(value.strip())
        elif scheme.lower() == "basic":
            claimed.append(_basic(value)[1])
        return any(hmac.compare_digest(given.encode(), self._token.encode()) for given in claimed)

    def _by_password(self, authorization: str) -> str:
        scheme, _, value = authorization.partition(" ")
        name, password = _basic(value)
        is_right = hmac.compare_digest(password.encode(), self._settings.password.encode())
        return (_name(name) or "someone with the password") if scheme.lower() == "basic" and is_right else ""

    def _by_cookie(self, headers: Mapping[str, str]) -> str | None:
        """The name in the cookie; None without a cookie that this home has set."""
        if not self._cookie_key:
            return None
        # several headers of one name are joined by commas; a strict parser would stop at another program's cookie
        pairs = (
            part.strip().partition("=") for part in headers.get("cookie", "").replace(",", ";").split(";")
        )
        value = next((given for name, _, given in pairs if name == self._cookie_name), "")
        name, _, signature = value.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(name).encode()):
            return None
        return base64.urlsafe_b64decode(name).decode()

    def _sign(self, name: str) -> str:
        return hmac.new(self._cookie_key, name.encode(), hashlib.sha256).hexdigest()


def refuse_open(settings: Guarded) -> None:
    """Raises NotSafe where others could reach a page that asks nobody who they are, or only for its token."""
    if settings.is_open and not settings.is_loopback:
        raise NotSafe(
            f"{settings.title} does not listen on {settings.bind}: others could reach it. Set "
            f"{settings.password_setting}, or AFTERCALL_BOARD_USER_HEADER behind a reverse proxy, or listen on "
            "127.0.0.1"
        )


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether the page that made a request has the host and port that the request was sent to."""
    try:
        return urlsplit(headers.get("origin", "")).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def without_token(method: str, headers: Mapping[str, str], path: str, query: str) -> str:
    """Where to send a browser that came with the token in its address, so that no history keeps it; else empty."""
    pairs = parse_qsl(query, keep_blank_values=True)
    rest = [(name, value) for name, value in pairs if name != TOKEN_PARAMETER]
    if method != "GET" or rest == pairs or "text/html" not in headers.get("accept", ""):
        return ""
    # one slash: two would lead to another machine
    place = "/" + quote(path.lstrip("/\\"))
    return f"{place}?{urlencode(rest)}" if rest else place


def address(settings: Guarded) -> str:
    """Where a person opens the page; with the token where one is asked for, so print it and never log it."""
    token = f"/?{TOKEN_PARAMETER}={home_token(settings)}" if settings.is_open else ""
    return f"http://{settings.bind}{token}"


def _basic(value: str) -> tuple[str, str]:
    """Name and password of HTTP basic authentication; empty for anything else."""
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return name, password


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _name(value: str) -> str:
    return " ".join("".join(char for char in value if char.isprintable()).split())[:LONGEST_NAME]
