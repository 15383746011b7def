"""Follow-up mails as complete MIME messages: plain text and HTML, ready for any way of sending.

Which template goes to whom, and in which language, was decided in `sync_emails`. The words are in `templating`.
"""

import hashlib
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.email.brand import brand
from integrations.email.templating import ALERT, TEMPLATES, Wording, wording
from integrations.errors import DestinationUnavailable, Suppressed, Unsendable
from integrations.rendering import Rendered, is_address, line, prose, unlinked, words

SUMMARY_LIMIT = 2_000
OVER = "Resolved: "
"""How the headline of an alert begins whose problem is over."""


def message(delivery: Delivery, settings: IntegrationSettings) -> EmailMessage:
    """The mail of an action; the same action always has the same Message-ID.

    Raises:
        Unsendable: if the template does not exist.
        Suppressed: if the address is not exactly one mailbox: a word that stands for nothing, or two addresses.
        DestinationUnavailable: if a template or a setting of the brand is broken.
    """
    payload = delivery.payload
    template = line(payload.get("template"))
    if template not in (*TEMPLATES, ALERT):
        raise Unsendable(f"there is no e-mail template {template!r}; there are {', '.join(TEMPLATES)}")
    digest = hashlib.sha256(delivery.action_key.encode("utf-8", "replace")).hexdigest()[:32]
    to = recipient(delivery)
    unsubscribe = _unsubscribe(settings.email_list_unsubscribe, digest) if template in TEMPLATES else []
    texts = _wording(delivery, template, _web_address(unsubscribe), settings)
    mail = EmailMessage(policy=SMTP if to.username.isascii() else SMTPUTF8)
    mail["Subject"] = texts.subject
    mail["From"] = _mailbox(settings.email_from_name, settings.email_from_address)
    mail["To"] = to
    if settings.email_reply_to:
        mail["Reply-To"] = _mailbox("", settings.email_reply_to)
    mail["Date"] = format_datetime(delivery.at)
    mail["Message-ID"] = f"<{digest}@{settings.email_from_address.rpartition('@')[2]}>"
    if unsubscribe:
        mail["List-Unsubscribe"] = ", ".join(f"<{address}>" for address in unsubscribe)
    if _web_address(unsubscribe):
        # RFC 8058: one click, without a page that asks again.
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # RFC 3834: out-of-office replies are not wanted.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(texts.text)
    mail.add_alternative(texts.html, subtype="html")
    mail["Content-Language"] = texts.language
    mail.set_boundary(f"=_{digest}")
    return mail


def recipient(delivery: Delivery) -> Address:
    """Whom the mail of an action goes to. Raises Suppressed if the address is not exactly one mailbox."""
    value, name = delivery.payload.get("to_address"), delivery.payload.get("customer_name")
    # Judged as it came: cleaning first could turn two addresses into one that nobody meant.
    address = "" if value is None else str(value).strip()
    user, _, domain = address.rpartition("@")
    try:
        if is_address(address) and "\ufffd" not in line(address):
            host = domain if domain.isascii() else domain.encode("idna").decode()
            return _mailbox(unlinked(line(name, 80)), f"{user}@{host}")
    except (ValueError, MessageError, IndexError):
        pass
    # What a person said counts as no address where it is none; it may still come.
    raise Suppressed(f"no address: {line(address, 80)!r} is not an e-mail address")


def bodies(mail: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML of a mail of ours, with the line ends that they were written with."""
    parts = {part.get_content_subtype(): str(part.get_content()) for part in mail.iter_parts()}
    text, html = (parts[kind].replace("\r\n", "\n") for kind in ("plain", "html"))
    return text, html


def render(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """The message of an action as its bytes say it, with its subject as title."""
    mail = message(delivery, settings)
    return Rendered("message/rfc822", str(mail["Subject"]), mail.as_bytes().decode("utf-8", "replace"))


def _wording(
    delivery: Delivery, template: str, unsubscribe_url: str, settings: IntegrationSettings
) -> Wording:
    payload = delivery.payload
    topic = words(payload.get("issue_type"), "")
    quotes = template == ALERT or settings.email_quotes_summary
    quoted = {
        "name": line(payload.get("customer_name"), 80),
        "topic": "" if topic == "general" else topic[:1].upper() + topic[1:],
        "summary": prose(payload.get("summary"), SUMMARY_LIMIT) if quotes else "",
        "reference": line(delivery.call_id, 80),
    }
    if template != ALERT:
        # Whoever calls can have any words sent to any address, under our name: none of them is a link.
        quoted = {name: unlinked(value) for name, value in quoted.items()}
    values = {**quoted, "unsubscribe_url": unsubscribe_url}
    if template == ALERT:
        headline = line(payload.get("headline"), 200)
        values |= {
            "headline": headline,
            "action_needed": prose(payload.get("action_needed"), SUMMARY_LIMIT),
            "is_over": "yes" if headline.startswith(OVER) else "",
        }
    return wording(template, payload.get("language"), values, brand(settings), settings.home)


def _unsubscribe(setting: str, digest: str) -> list[str]:
    """Addresses for `List-Unsubscribe` (RFC 2369)."""
    addresses = [line(part, 500).replace("{mail}", digest) for part in setting.split(",") if part.strip()]
    if any(not part.startswith(("mailto:", "https://")) or set(part) & set("<> ") for part in addresses):
        raise DestinationUnavailable(
            "AFTERCALL_EMAIL_LIST_UNSUBSCRIBE takes mailto: and https: addresses, comma separated"
        )
    return addresses


def _web_address(addresses: list[str]) -> str:
    return next((address for address in addresses if address.startswith("https://")), "")


def _mailbox(name: str, address: str) -> Address:
    user, _, domain = line(address, 254).rpartition("@")
    return Address(line(name, 80), user, domain)
