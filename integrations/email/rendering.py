"""Follow-up mails as complete MIME messages: plain text and HTML, ready for any way of sending.

Which template goes to whom was decided in `sync_emails`. The words are in `templates/`; a translation goes
into `templates/<language>/` under the same names and is taken for customers of that language.
"""

import hashlib
import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Paused, Refused
from integrations.rendering import Rendered, line, prose, templates, words

TEMPLATES = ("apology_escalation", "additional_resources", "thank_you")
SUMMARY_LIMIT = 2_000
_FOLDER = Path(__file__).parent / "templates"
_LANGUAGE = re.compile(r"[a-z]{2,3}")
# Stricter than RFC 5322 on purpose: one mailbox, no quoting, no comment, no route.
_ADDRESS = re.compile(
    r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]+@[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]+\.[^\s@<>()\[\]\\,;:\"]+"
)


def message(delivery: Delivery, settings: IntegrationSettings) -> EmailMessage:
    """The mail of an action; the same action always has the same Message-ID.

    Raises:
        Refused: if the template does not exist or the address is not exactly one mailbox.
    """
    told = delivery.payload
    template = line(told.get("template"))
    if template not in TEMPLATES:
        raise Refused(f"there is no e-mail template {template!r}; there are {', '.join(TEMPLATES)}")
    digest = hashlib.sha256(delivery.action_key.encode("utf-8", "replace")).hexdigest()[:32]
    to, ascii_only = _recipient(told.get("to_address"), line(told.get("customer_name"), 80))
    subject, text, html = _bodies(delivery, template, settings)
    mail = EmailMessage(policy=SMTP if ascii_only else SMTPUTF8)
    mail["Subject"] = subject
    mail["From"] = _mailbox(settings.email_from_name, settings.email_from_address)
    mail["To"] = to
    if settings.email_reply_to:
        mail["Reply-To"] = _mailbox("", settings.email_reply_to)
    mail["Date"] = format_datetime(delivery.at)
    mail["Message-ID"] = f"<{digest}@{settings.email_from_address.rpartition('@')[2]}>"
    for name, value in _unsubscribe(settings.email_list_unsubscribe, digest).items():
        mail[name] = value
    # RFC 3834: out-of-office replies are not wanted.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    mail.set_boundary(f"=_{digest}")
    return mail


def render(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """The message as its bytes say it, with its subject as title."""
    mail = message(delivery, settings)
    return Rendered("message/rfc822", str(mail["Subject"]), mail.as_bytes().decode("utf-8", "replace"))


def _unsubscribe(setting: str, digest: str) -> dict[str, str]:
    """`List-Unsubscribe` (RFC 2369), and for an https address the sign of one click (RFC 8058)."""
    found = [line(part, 500).replace("{mail}", digest) for part in setting.split(",") if part.strip()]
    if any(not part.startswith(("mailto:", "https://")) or set(part) & set("<> ") for part in found):
        raise Paused("AFTERCALL_EMAIL_LIST_UNSUBSCRIBE takes mailto: and https: addresses, comma separated")
    headers = {"List-Unsubscribe": ", ".join(f"<{part}>" for part in found)} if found else {}
    if any(part.startswith("https://") for part in found):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def _bodies(delivery: Delivery, template: str, settings: IntegrationSettings) -> tuple[str, str, str]:
    told = delivery.payload
    language = line(told.get("language")).lower()[:3].rstrip("-_")
    known = language if _LANGUAGE.fullmatch(language) and (_FOLDER / language).is_dir() else ""
    values = {
        "name": line(told.get("customer_name"), 80),
        "issue": words(told.get("issue_type"), "request").replace("general", "request"),
        "summary": prose(told.get("summary"), SUMMARY_LIMIT),
        "sender": line(settings.email_from_name, 80),
        "language": known or "en",
    }
    environment = templates(_FOLDER)
    parts = {
        part: environment.select_template([f"{known}/{template}.{part}.j2", f"{template}.{part}.j2"])
        for part in ("txt", "html")
    }
    text = parts["txt"].render(values)
    subject, _, body = text.partition("\n")
    return (
        line(subject.removeprefix("Subject:"), 200),
        body.strip() + "\n",
        parts["html"].render(values) + "\n",
    )


def _recipient(value: object, name: str) -> tuple[Address, bool]:
    # Judged as it came: cleaning first could turn two addresses into one that nobody meant.
    address = "" if value is None else str(value).strip()
    if len(address) > 254 or not _ADDRESS.fullmatch(address) or "\ufffd" in line(address):
        raise Refused(f"{line(address, 80)!r} is not an e-mail address")
    user, _, domain = address.rpartition("@")
    try:
        host = domain if domain.isascii() else domain.encode("idna").decode()
        mailbox = _mailbox(name, f"{user}@{host}")
    except (ValueError, MessageError, IndexError):
        raise Refused(f"{line(address, 80)!r} is not an e-mail address") from None
    return mailbox, user.isascii()


def _mailbox(name: str, address: str) -> Address:
    user, _, domain = line(address, 254).rpartition("@")
    return Address(line(name, 80), user, domain)
