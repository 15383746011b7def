"""An alert about aftercall itself, as a mail at a real mail server."""

import pytest
import trustme

from integrations.outbox import Outbox, dispatch
from tests.integrations.email.mail_server import Office, Settings, serving
from tests.integrations.examples import NOW, alert


@pytest.mark.parametrize("end", ["", "Resolved: "])
def test_it_arrives_once_and_says_what_to_do(
    outbox: Outbox, make: Settings, authority: trustme.CA, end: str
) -> None:
    office = Office()
    with serving(office, authority, "none") as port:
        settings = make(
            port,
            smtp_security="none",
            alerts="email",
            alert_email="ops@firm.example.com",
            email_require_consent=True,
        )
        for _ in range(2):
            alert(
                outbox, "stopped:ticket", f"{end}Tickets <b>wait</b>", settings,
                summary="zendesk: 401\r\nBcc: x@evil.example", action_needed="Look at AFTERCALL_ZENDESK_TOKEN",
            )  # fmt: skip
            dispatch(outbox, "email", settings, now=NOW)
        assert dispatch(outbox, "chat", settings, now=NOW).sent == 0
    (mail,) = office.mails
    assert mail["To"] == "ops@firm.example.com"
    assert mail["Bcc"] is None
    assert "Tickets <b>wait</b>" in mail["Subject"]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "Look at AFTERCALL_ZENDESK_TOKEN" in plain.get_content()
    assert "<b>wait</b>" not in html.get_content()
