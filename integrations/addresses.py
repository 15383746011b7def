"""One spelling for the mailboxes that mails go to, so that a limit per mailbox cannot be walked around.

Whether a text is an address at all, and who gets no mail, belongs to `integrations.email`.
"""

# Providers that give mailboxes to everybody: their customers have nothing to do with each other.
FREE_MAIL = frozenset(
    {
        "126.com", "163.com", "aol.com", "comcast.net", "freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.de",
        "gmx.net", "hotmail.com", "hotmail.co.uk", "hotmail.de", "hotmail.fr", "icloud.com", "laposte.net",
        "libero.it", "live.com", "mac.com", "mail.com", "mail.ru", "me.com", "msn.com", "naver.com", "orange.fr",
        "outlook.com", "outlook.de", "proton.me", "protonmail.com", "qq.com", "t-online.de", "web.de", "yahoo.com",
        "yahoo.co.jp", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "yandex.ru",
    }
)  # fmt: skip
_WITHOUT_DOTS = frozenset({"gmail.com", "googlemail.com"})


def mailbox_of(value: object) -> tuple[str, str] | None:
    """The mailbox and its domain in one spelling; None if the value has nothing like an address.

    Letters are lower case, the domain is ASCII, what follows a plus sign is left out, and so are Gmail's full stops.
    """
    user, at, domain = ("" if value is None else str(value)).strip().casefold().rpartition("@")
    domain = domain.rstrip(".")
    if not at or not user or not domain:
        return None
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        # Such a domain is nobody's; the mail will be refused under the spelling that it has.
        domain = domain.encode("ascii", "replace").decode()
    user = user.partition("+")[0] or user
    if domain in _WITHOUT_DOTS:
        user, domain = user.replace(".", "") or user, "gmail.com"
    return f"{user}@{domain}"[-320:], domain[-255:]
