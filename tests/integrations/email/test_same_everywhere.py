"""One mail, whatever shows or sends it: SMTP, SendGrid, the preview and the board."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from integrations.board import actions
from integrations.email.rendering import bodies
from integrations.outbox import Outbox, dispatch
from tests.integrations import servers
from tests.integrations.email.mail_server import Office, Settings, serving
from tests.integrations.examples import NOW, email
from tests.integrations.servers import says

BRAND = {"brand_name": "Ärger & Söhne", "brand_color": "#0f766e", "support_phone": "+1 202 555 0100"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """One database is enough here: it keeps what it is given."""
    return f"sqlite:///{tmp_path / 'outbox.sqlite'}"


def read(mail: EmailMessage) -> tuple[str, str, str]:
    return str(mail["Subject"]), *bodies(mail)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_same_mail_everywhere(
    make: Settings, authority: trustme.CA, outbox: Outbox, language: str
) -> None:
    row = email(language=language, summary="One\n\nTwo <b>👩‍👩‍👧</b>", template="apology_escalation")
    read_mails, office = {}, Office()
    with serving(office, authority, "starttls") as port, servers.running() as system:
        system.always = lambda request: says(202, b"")
        ways = {"emails": "smtp"}, {"emails": "sendgrid", "sendgrid_api_key": "x"}, {"emails": "preview"}
        for way in ways:
            settings = make(port, sendgrid_url=system.url, **BRAND, **way)
            outbox.enqueue([email(way["emails"], **row.payload)], NOW, settings)
            assert dispatch(outbox, "email", settings, now=NOW).sent == 1
            action = outbox.actions(call_id=way["emails"])[0]
            shown = actions.look(outbox, action, settings).rendered
            assert shown is not None
            mail = message_from_bytes(shown.body.encode(), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            read_mails[way["emails"]] = read(mail)
        sent = system.requests[-1].json()
    assert read(office.mails[0]) == read_mails["smtp"]
    assert sent["subject"] == read_mails["sendgrid"][0]
    assert tuple(part["value"] for part in sent["content"]) == read_mails["sendgrid"][1:]
    assert len({tuple(text.replace(way, "") for text in mail) for way, mail in read_mails.items()}) == 1
