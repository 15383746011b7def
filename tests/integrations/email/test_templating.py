"""Words in the customer's language and the firm's brand; the operator's own files before the shipped ones."""

import os
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.email.languages import candidates
from integrations.email.rendering import bodies, message
from integrations.email.templating import IN_HOME, TEMPLATES, flow, languages, paragraphs
from integrations.errors import DestinationUnavailable
from tests.integrations.examples import delivery, email

VOID = frozenset({"br", "img", "meta"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / IN_HOME).mkdir()
    return tmp_path


def mail_of(home: Path, row: dict[str, Any] | None = None, **settings: Any) -> EmailMessage:
    return message(delivery(email(**(row or {}))), IntegrationSettings(home=home, **settings))


def written(home: Path, name: str, text: str) -> Path:
    path = home / IN_HOME / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class Balanced(HTMLParser):
    """Fails on a tag that is not closed, or closed twice; keeps the tags and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if {"style", "title"} & set(self.open) else f"{data} "


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("de-AT", ("de-AT", "de", "en")),
        ("DE_at", ("de-AT", "de", "en")),
        ("zh_hant_tw", ("zh-Hant-TW", "zh-Hant", "zh", "en")),
        ("es-419", ("es-419", "es", "en")),
        ("en", ("en",)),
        ("en-GB", ("en-GB", "en")),
        (None, ("en",)),
        ("", ("en",)),
        ("german", ("en",)),
        ("../../etc", ("en",)),
        ("de/..", ("en",)),
        (7, ("en",)),
    ],
)
def test_from_the_region_to_the_language_to_english(tag: object, wanted: tuple[str, ...]) -> None:
    assert candidates(tag) == wanted


@pytest.mark.parametrize("language", ["en", "de", "es", "ar"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_both_bodies_say_the_same_in_every_language(home: Path, language: str, template: str) -> None:
    mail = mail_of(
        home,
        {"template": template, "language": language},
        support_phone="+1 202 555 0100", support_url="https://shop.de/help", brand_address="Street 1",
        email_list_unsubscribe="https://shop.de/stop",
    )  # fmt: skip
    assert mail["Content-Language"] == language
    text, html = bodies(mail)
    page = Balanced(html)
    assert not page.tags & {"table", "td", "script", "link"}
    shown = set(re.findall(r"\w{4,}", page.text))
    assert set(re.findall(r"\w{4,}", text)) - shown <= {"https", "help", "stop", "shop"}
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in html
    assert "{" not in text
    assert "\n\n\n" not in text
    assert max(len(line) for line in html.splitlines()) < 900


def test_the_languages_differ_and_an_unknown_one_is_english(home: Path) -> None:
    subjects = {
        language: str(mail_of(home, {"language": language})["Subject"])
        for language in ("en", "de", "es", "ar")
    }
    assert len(set(subjects.values())) == 4
    assert mail_of(home, {"language": "de-CH"})["Subject"] == subjects["de"]
    assert mail_of(home, {"language": "fi"})["Subject"] == subjects["en"]


def test_in_arabic_strangers_words_and_numbers_keep_their_direction(home: Path) -> None:
    text, html = bodies(
        mail_of(home, {"language": "ar", "customer_name": "<Ada>"}, support_phone="+1 202 555 0100")
    )
    assert "<bdi>&lt;Ada&gt;</bdi>" in html
    assert 'href="tel:+12025550100" dir="ltr"' in html
    assert "\u2068<Ada>\u2069" in text
    assert "\u2066+1 202 555 0100\u2069" in text
    assert "<bdi>عائشة</bdi>" in bodies(mail_of(home, {"customer_name": "عائشة"}))[1]


def test_the_brand_is_everywhere_and_escaped(home: Path) -> None:
    mail = mail_of(
        home, brand_name="Ärger & Söhne", brand_color="#FFCC00", brand_address="<Street> 1",
        brand_logo_url="https://shop.de/logo.png?a=1&b=2", support_url="https://shop.de/help?a&b",
        row={"template": "additional_resources"},
    )  # fmt: skip
    text, html = bodies(mail)
    assert 'src="https://shop.de/logo.png?a=1&amp;b=2" alt="Ärger &amp; Söhne"' in html
    assert "background:#ffcc00;color:#000000" in html
    assert "&lt;Street&gt; 1" in html
    assert "Ärger & Söhne · <Street> 1" in text
    assert "https://shop.de/help?a&b\n" in text
    assert (
        "color:#ffffff"
        in bodies(mail_of(home, {"template": "additional_resources"}, support_url="https://a.de"))[1]
    )


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"brand_color": "red"}, "AFTERCALL_BRAND_COLOR"),
        ({"brand_color": "#123"}, "AFTERCALL_BRAND_COLOR"),
        ({"brand_color": '#112233" onload="x'}, "AFTERCALL_BRAND_COLOR"),
        ({"brand_logo_url": "http://shop.de/logo.png"}, "AFTERCALL_BRAND_LOGO_URL"),
        ({"brand_logo_url": 'https://shop.de/"x'}, "AFTERCALL_BRAND_LOGO_URL"),
        ({"support_url": "javascript:alert(1)"}, "AFTERCALL_SUPPORT_URL"),
        ({"support_url": "https://[::1"}, "AFTERCALL_SUPPORT_URL"),
    ],
)
def test_a_brand_that_cannot_be_shown_names_its_setting(
    home: Path, wrong: dict[str, Any], setting: str
) -> None:
    with pytest.raises(DestinationUnavailable, match=setting):
        mail_of(home, **wrong)


def test_nobody_is_asked_to_answer_an_address_that_nobody_reads(home: Path) -> None:
    def reach(**settings: Any) -> str:
        return next(
            (part for part in bodies(mail_of(home, **settings))[0].split("\n\n") if "question" in part), ""
        )

    assert "reply to this email" in reach(email_from_address="help@shop.de")
    assert reach(email_from_address="no-reply@shop.de") == ""
    assert "Call us on 1" in reach(email_from_address="noreply@shop.de", support_phone="1")
    assert "reply" in reach(email_from_address="noreply@shop.de", email_reply_to="ada@shop.de")


def test_a_file_in_the_home_goes_before_the_shipped_one_from_the_next_mail_on(home: Path) -> None:
    before = mail_of(home, {"language": "de"})["Subject"]
    path = written(
        home, "de/thank_you.j2",
        "{% extends 'shipped/de/thank_you.j2' %}\n{% block subject %}Danke, {{ name }}!{% endblock %}",
    )  # fmt: skip
    mail = mail_of(home, {"language": "de"})
    assert mail["Subject"] == "Danke, Ada!" != before
    assert "Schön, dass wir Ihnen helfen konnten." in bodies(mail)[0]
    path.write_text(path.read_text().replace("Danke", "Merci"))
    os.utime(path, ns=(1, 1))
    assert mail_of(home, {"language": "de"})["Subject"] == "Merci, Ada!"
    path.unlink()
    assert mail_of(home, {"language": "de"})["Subject"] == before


def test_a_language_and_a_frame_of_ones_own(home: Path) -> None:
    written(home, "fr-CA/thank_you.j2", "{% extends 'en/base.j2' %}\n{% block subject %}Merci{% endblock %}")
    written(
        home, "layout.html.j2", "<h1>{{ brand.name }}</h1>{% block body %}{% endblock %}<p>{{ summary }}</p>"
    )
    assert languages(IntegrationSettings(home=home)) == ["ar", "de", "en", "es", "fr-CA"]
    mail = mail_of(home, {"language": "fr_ca", "summary": "<script>"})
    assert (mail["Subject"], mail["Content-Language"]) == ("Merci", "fr-CA")
    assert bodies(mail)[1] == "<h1>Customer Support</h1><p>&lt;script&gt;</p>\n"
    assert mail_of(home, {"language": "fr-FR"})["Content-Language"] == "en"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "{% extends 'en/base.j2' %}\n\n{% block body %}\n{{ nmae }}\n{% endblock %}",
            "line 4: 'nmae' is undefined",
        ),
        ("{% extends 'en/base.j2' %}\n{% block body %}\n{% if %}", "line 3: "),
        ("{% extends 'en/base.j2' %}\n{% block body %}", "line 2: "),
        ("{% extends 'no/base.j2' %}", "line 1: there is no template 'no/base.j2'"),
        ("{% extends 'en/base.j2' %}\n{% block body %}{{ ''.__class__.__mro__ }}{% endblock %}", "line 2: "),
        ("{% extends 'en/base.j2' %}\n{% block body %}{{ 1 / 0 }}{% endblock %}", "line 2: division by zero"),
        ("{% extends 'en/base.j2' %}\n{% block body %}\n{{ brand.nope }}{% endblock %}", "line 3: "),
        ("{% include '../../../etc/passwd' %}", "line 1: there is no template"),
        ("{% extends layout %}\n{% for i in range(10**9) %}{% endfor %}", "line 2: Range too big"),
    ],
)
def test_a_broken_template_is_named_by_file_and_line(home: Path, text: str, place: str) -> None:
    path = written(home, "en/thank_you.j2", text)
    with pytest.raises(DestinationUnavailable, match=re.escape(f"{path}, {place}")):
        mail_of(home)
    assert mail_of(home, {"language": "de"})["Content-Language"] == "de"


def test_paragraphs_as_html_and_as_text() -> None:
    source_text = "\nOne\nline.\n\n \n\n<ul><li>x</li></ul>\n\nTwo.\n"
    assert paragraphs(source_text).count("<p ") == 2
    assert "<p style" not in paragraphs("<ul></ul>")
    assert flow("\nOne\n line.\n\n\nTwo.\n") == "One line.\n\nTwo."
