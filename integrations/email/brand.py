"""Whose mail it is: name, logo, colour, address and how to be reached, checked before they go into a template.

Where they stand in a mail belongs to the templates.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from integrations.config import IntegrationSettings
from integrations.errors import DestinationUnavailable
from integrations.rendering import line

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_NO_REPLY = re.compile(r"(do-?not|no)[-_.]?reply", re.I)


@dataclass(frozen=True)
class Brand:
    """What the templates know as `brand`.

    Args:
        name: the firm's name.
        sender: the name that signs.
        logo_url: an https address, or empty.
        color: `#rrggbb`.
        on_color: black or white, whichever reads better on the colour.
        address: postal address in one line, or empty.
        phone: number that customers may call, or empty.
        url: https address of the help pages, or empty.
        can_reply: whether somebody reads the answers to a mail.
    """

    name: str
    sender: str
    logo_url: str
    color: str
    on_color: str
    address: str
    phone: str
    url: str
    can_reply: bool


def brand(settings: IntegrationSettings) -> Brand:
    """The brand of the settings.

    Raises:
        DestinationUnavailable: naming the setting, for a colour that is none or an address that is not https.
    """
    color = settings.brand_color.strip()
    if not _COLOR.fullmatch(color):
        raise DestinationUnavailable(
            f"AFTERCALL_BRAND_COLOR takes a colour such as #2b59c3, not {line(color, 40)!r}"
        )
    sender = line(settings.email_from_name, 80)
    answers_go_to = settings.email_reply_to or settings.email_from_address
    return Brand(
        name=line(settings.brand_name, 80) or sender,
        sender=sender,
        logo_url=_https(settings.brand_logo_url, "AFTERCALL_BRAND_LOGO_URL"),
        color=color.lower(),
        on_color=_readable_on(color),
        address=line(settings.brand_address, 200),
        phone=line(settings.support_phone, 40),
        url=_https(settings.support_url, "AFTERCALL_SUPPORT_URL"),
        can_reply=not _NO_REPLY.match(answers_go_to),
    )


def _https(value: str, setting: str) -> str:
    value = value.strip()
    try:
        usable = not value or (urlsplit(value).scheme == "https" and bool(urlsplit(value).hostname))
    except ValueError:
        usable = False
    if not usable or set(value) & set(" \"'<>\\") or not value.isprintable():
        raise DestinationUnavailable(
            f"set {setting} to an address that begins with https://, or leave it empty"
        )
    return value


def _readable_on(color: str) -> str:
    """Black or white, by the relative luminance of WCAG 2: both contrasts are equal at 0.179."""
    channels = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels
    )
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
