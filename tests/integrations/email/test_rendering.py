"""Mails as the standard library reads them back."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from jinja2.utils import urlize

from integrations.config import IntegrationSettings
from integrations.email.recipients import check_wish
from integrations.email.rendering import message, render
from integrations.email.templating import TEMPLATES
from integrations.errors import Rejected, Suppressed
from integrations.outbox import DueAction
from tests.integrations.examples import delivery, email

SETTINGS = IntegrationSettings(email_from_name="Ärger & Söhne", email_from_address="help@firm.example")


def parsed(**payload: Any) -> EmailMessage:
    rendered = render(delivery(email(**payload)), SETTINGS)
    return message_from_bytes(rendered.body.encode(), policy=policy.default)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_a_whole_message(template: str) -> None:
    mail = parsed(template=template)
    assert mail.defects == []
    assert mail.get_content_type() == "multipart/alternative"
    assert mail["To"] == "Ada <ada@example.com>"
    assert mail["From"].addresses[0].display_name == "Ärger & Söhne"
    assert mail["Date"].datetime.isoformat() == "2026-11-02T08:00:00+00:00"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert 10 < len(mail["Subject"]) < 80
    for kind in ("plain", "html"):
        assert "Hello Ada," in part(mail, kind)
        assert "Rental car" in part(mail, kind)
        assert "The car was booked." in part(mail, kind)


def test_the_three_templates_differ() -> None:
    assert len({parsed(template=template)["Subject"] for template in TEMPLATES}) == 3


def test_the_same_action_is_the_same_message() -> None:
    assert render(delivery(email()), SETTINGS) == render(delivery(email()), SETTINGS)
    assert parsed()["Message-ID"] == parsed(summary="other")["Message-ID"]
    assert parsed()["Message-ID"] != parsed(call="2")["Message-ID"]
    assert parsed()["Message-ID"].endswith("@firm.example>")


@pytest.mark.parametrize(
    "separator", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r\n\r\n"]
)
def test_no_header_can_be_smuggled_in(separator: str) -> None:
    evil = f"Ada{separator}Bcc: eve@example.com{separator}"
    mail = parsed(customer_name=evil, issue_type=evil, summary=evil, template="additional_resources")
    expected = {
        "subject", "from", "to", "date", "message-id", "auto-submitted", "x-auto-response-suppress",
        "content-language", "mime-version", "content-type",
    }  # fmt: skip
    assert {name.lower() for name in mail.keys()} == expected  # noqa: SIM118
    assert [address.addr_spec for address in mail["To"].addresses] == ["ada@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        None, "", "nobody", "a@b", "a@b.c, eve@example.com", "Ada <a@b.example>", "a b@c.example",
        "a@b.example\r\nBcc: c@d.example", "a@b@c.example", '"a,b"@c.example', "a@b.example;c", "@b.example",
        "x" * 250 + "@b.example", "a@\u202eb.example" * 20, "none", "N/A", "ann at shop",
        "{{customer_email}}", "a@b.\x00c",
    ],
)  # fmt: skip
def test_what_is_no_address_counts_as_none(address: str | None) -> None:
    with pytest.raises(Suppressed, match=r"no address: .* is not an e-mail address"):
        message(delivery(email(to_address=address)), SETTINGS)


def test_addresses_in_other_scripts() -> None:
    assert parsed(to_address="ada@bücher.example")["To"].addresses[0].addr_spec == "ada@xn--bcher-kva.example"
    mail = message(delivery(email(to_address="адам@example.com")), SETTINGS)
    assert "адам@example.com".encode() in mail.as_bytes()


def test_strangers_words_stay_words() -> None:
    mail = parsed(
        customer_name="<b>Ada</b> {{ 7*7 }}",
        summary="<script>alert(1)</script>\n{{ config }}\n.\n\u0645\u0631\u062d\u0628\u0627 👋",
    )
    assert "<script>" not in part(mail, "html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in part(mail, "html")
    assert "&lt;b&gt;Ada&lt;/b&gt; {{ 7*7 }}" in part(mail, "html")
    assert "{{ config }}\n.\n\u0645\u0631\u062d\u0628\u0627 👋" in part(mail, "plain")


def test_a_long_summary_is_shortened_and_lines_stay_within_the_protocol() -> None:
    mail = message(delivery(email(summary="x" * 1_000_000, customer_name="y" * 5_000)), SETTINGS)
    assert max(len(line) for line in mail.as_bytes().split(b"\r\n")) <= 998
    assert len(mail.as_bytes()) < 20_000


LINKS = [
    "http://evil.example/login?a=1", "HTTPS://Evil.Example:8080", "www.evil.example", "evil.com", "see evil.com.",
    "(evil.co.uk/path)", "ann@evil.com", "mailto:ann@evil.com", "tel:+19005550100", "javascript:alert(1)",
    "http://1.2.3.4/x", "1.2.3.4", "http://localhost/x", "ftp://evil", "sms:+1900", "foo+bar://evil", "evil。com",
    "evil\uff0ecom", "xn--80ak6aa92e.com", "пример.рф", "💩.la", "a-.evil.com", "e_.vil.com", "http:evil", "<a href='http://evil.com'>x</a>",
    "[x](https://evil.com)", "https://user:pw@evil.com", "evil.com\nevil.com", "data:text/html,x",
]  # fmt: skip


@pytest.mark.parametrize("words", LINKS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_no_word_of_a_stranger_is_a_link(words: str, template: str) -> None:
    hostile = delivery(email(template=template, summary=words, customer_name=words, issue_type=words))
    mail = message(replace(hostile, call_id=words), SETTINGS)
    plain, page = part(mail, "plain"), part(mail, "html")
    assert set(re.findall(r"<a [^>]*>", page)) == set()
    # What makes links of texts, as mail programs do, makes none of these.
    for text in (plain, unescape(re.sub(r"<[^>]*>", " ", page)), str(mail["To"].addresses[0].display_name)):
        linked = urlize(text, extra_schemes=["ftp:", "tel:", "sms:", "javascript:", "data:", "foo+bar:"])
        assert "<a " not in linked, linked
        assert not re.search(r"\w://|[^\W_]\.[^\W\d_]{2}", text.replace("https://help", "")), text
    # Everything can still be read.
    assert "".join(re.findall(r"\w", words.split("\n")[0])) in "".join(re.findall(r"\w", plain))


@pytest.mark.parametrize(
    "words", ["It is 3.5 km.", "Bye. See you!", "a: b", "e.g. this", "12:30", "Wait... what?"]
)
def test_words_that_are_no_link_stay_as_they_are(words: str) -> None:
    assert words in part(message(delivery(email(summary=words)), SETTINGS), "plain")


def test_the_operators_own_links_stay_links() -> None:
    settings = IntegrationSettings(
        support_url="https://help.shop.de", email_list_unsubscribe="https://shop.de/stop/{mail}"
    )
    page = part(message(delivery(email(template="additional_resources")), settings), "html")
    assert {one.split("/")[2] for one in re.findall(r'<a href="([^"]*)"', page)} == {
        "help.shop.de",
        "shop.de",
    }


def test_nothing_is_quoted_where_the_operator_says_so() -> None:
    mail = message(delivery(email(summary="Secret.")), IntegrationSettings(email_quotes_summary=False))
    assert "Secret" not in part(mail, "plain") + part(mail, "html")
    assert "Rental car" in part(mail, "plain")


def test_little_known_and_general() -> None:
    mail = parsed(customer_name=None, issue_type="general", summary=None)
    assert "Hello," in part(mail, "plain")
    assert "Our notes from" not in part(mail, "plain")
    assert "Our notes from" not in part(mail, "html")


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(Rejected, match="apology_escalation"):
        message(delivery(email(template="../layout")), SETTINGS)


def alert(headline: str, action_needed: str) -> EmailMessage:
    content = {
        "template": "pipeline_alert",
        "headline": headline,
        "summary": "401 <b>",
        "action_needed": action_needed,
    }
    row = DueAction(
        "pipeline_alert:x:email",
        "email",
        "pipeline_alert",
        None,
        None,
        content | {"to_address": "ops@shop.de"},
    )
    settings = IntegrationSettings(email_list_unsubscribe="https://shop.de/stop", email_require_consent=True)
    mail = message(delivery(row), settings)
    check_wish(delivery(row), settings)
    return mail


def test_an_alert_and_its_end_are_for_the_people_who_run_it() -> None:
    began, ended = (
        alert("The crm channel has stopped", "Look at the key."),
        alert("Resolved: The crm channel…", ""),
    )
    assert began["Subject"] == "The crm channel has stopped"
    assert began["List-Unsubscribe"] is None
    assert part(began, "plain") == (
        "The crm channel has stopped\n\nLook at the key.\n\nWhat was seen:\n\n401 <b>\n\n"
        "-- \nYou're receiving this email because AFTERCALL_ALERT_EMAIL names your address.\n"
    )
    assert "401 &lt;b&gt;" in part(began, "html")
    assert "Kind regards" not in part(began, "html")
    assert "What happened" in part(ended, "plain")
