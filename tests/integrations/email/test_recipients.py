"""Who gets no mail although one is due, and how one gets rid of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from integrations.errors import DestinationUnavailable, Suppressed
from integrations.outbox import Action, Outbox, dispatch
from tests.integrations import servers
from tests.integrations.crm.hubspot_fake import TOKEN, FakeHubSpot
from tests.integrations.email.mail_server import Office, Settings, close, opened, serving
from tests.integrations.examples import NOW, contact, delivery
from tests.integrations.examples import email as due
from tests.integrations.servers import System

PHONE = "+12025550143"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """One database is enough here: who gets a mail is decided outside of it."""
    return f"sqlite:///{tmp_path / 'outbox.sqlite'}"


def known(outbox: Outbox) -> Action:
    action = outbox.action(due().action_key)
    assert action is not None
    return action


@pytest.mark.parametrize(
    "domain", ["example.com", "EXAMPLE.org", "mail.example.net", "corp.test", "x.invalid", "shop.example"]
)
def test_nobody_reads_mail_in_an_example_domain(make: Settings, outbox: Outbox, domain: str) -> None:
    settings = make(1, email_allow_example_domains=False, email_from_address="help@shop.de")
    row = due(to_address=f"ada@{domain}")
    outbox.enqueue([row], NOW, settings)
    assert dispatch(outbox, "email", settings, now=NOW).skipped == 1
    action = outbox.action(row.action_key)
    assert action is not None
    assert action.status == "skipped"
    assert (
        action.last_error
        == f"held back: {domain.lower()} is a domain for examples, and nobody reads mail there"
    )


def test_an_example_cannot_be_the_sender_either(make: Settings) -> None:
    settings = make(1, email_allow_example_domains=False, email_from_address="support@example.com")
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_EMAIL_FROM_ADDRESS"):
        opened(settings).send(delivery(due(to_address="ada@shop.de")), None)


def test_who_is_on_the_suppression_list_gets_none(
    make: Settings, authority: trustme.CA, tmp_path: Path
) -> None:
    office, listed = Office(), tmp_path / "suppressed.txt"
    with serving(office, authority, "starttls") as port:
        target = opened(make(port))
        listed.write_text(
            "\ufeff# asked on the phone\nADA@example.com  # twice\r\n@spam.example\n", encoding="utf-8"
        )
        for address in ("ada@example.com", "Ada@Example.COM", "eve@spam.example"):
            with pytest.raises(Suppressed, match="suppression list"):
                target.send(delivery(due(to_address=address)), None)
        target.send(delivery(due(to_address="bob@example.com")), None)
        with listed.open("a") as file:
            file.write("bob@example.com\n")
        with pytest.raises(Suppressed):
            target.send(delivery(due(to_address="bob@example.com")), None)
        close(target)
        with pytest.raises(DestinationUnavailable, match="AFTERCALL_EMAIL_SUPPRESSION_FILE"):
            opened(make(port, email_suppression_file=tmp_path / "gone.txt")).send(delivery(due()), None)
    assert [mail["To"] for mail in office.mails] == ["Ada <bob@example.com>"]


def test_list_unsubscribe(make: Settings, authority: trustme.CA) -> None:
    office = Office()
    with serving(office, authority, "starttls") as port:
        target = opened(make(port, email_list_unsubscribe="mailto:stop@shop.de, https://shop.de/stop/{mail}"))
        identity = target.send(delivery(due()), None)
        close(target)
        with pytest.raises(DestinationUnavailable, match="AFTERCALL_EMAIL_LIST_UNSUBSCRIBE"):
            opened(make(port, email_list_unsubscribe="http://shop.de")).send(delivery(due()), None)
    (mail,) = office.mails
    digest = identity.strip("<>").partition("@")[0]
    assert mail["List-Unsubscribe"] == f"<mailto:stop@shop.de>, <https://shop.de/stop/{digest}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_without_consent_it_is_skipped_visibly_and_sent_when_consent_arrives(
    make: Settings, authority: trustme.CA, outbox: Outbox
) -> None:
    office = Office()
    with serving(office, authority, "starttls") as port:
        settings = make(port, email_require_consent=True)
        outbox.enqueue([due(email_consent=None)], NOW, settings)
        assert dispatch(outbox, "email", settings, now=NOW).skipped == 1
        assert (known(outbox).status, known(outbox).last_error) == (
            "skipped",
            "held back: the customer has not agreed to e-mail (email_consent is not known)",
        )
        outbox.enqueue([due(email_consent=None)], NOW, settings)
        assert dispatch(outbox, "email", settings, now=NOW).sent == 0
        outbox.enqueue([due(email_consent=True)], NOW, settings)
        assert dispatch(outbox, "email", settings, now=NOW).sent == 1
    assert len(office.mails) == 1


@pytest.mark.parametrize("emails", ["smtp", "preview"])
@pytest.mark.parametrize("required", [True, False])
def test_who_declined_gets_none_whatever_the_settings(
    make: Settings, outbox: Outbox, emails: str, required: bool
) -> None:
    settings = make(1, emails=emails, email_require_consent=required)
    outbox.enqueue([due(email_consent=False)], NOW, settings)
    assert dispatch(outbox, "email", settings, now=NOW).skipped == 1
    assert known(outbox).last_error == "held back: the customer does not want e-mail (email_consent is no)"


@pytest.mark.parametrize("payload", [{}, {"email_consent": None}, {"email_consent": True}])
def test_where_consent_is_not_required_silence_is_enough(
    make: Settings, outbox: Outbox, payload: dict[str, Any]
) -> None:
    settings = make(1, emails="preview")
    outbox.enqueue([due(**payload)], NOW, settings)
    assert dispatch(outbox, "email", settings, now=NOW).sent == 1


@pytest.fixture
def portal() -> Iterator[tuple[System, FakeHubSpot]]:
    with servers.running() as system:
        system.always = fake = FakeHubSpot()
        yield system, fake


def only_known(system: System) -> dict[str, Any]:
    return {
        "email_only_known": True, "crm": "hubspot", "hubspot_token": TOKEN, "hubspot_api_url": system.url,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("holds", "is_sent"),
    [
        ({"email": "ADA@example.com", "phone": "(202) 555-0143"}, True),
        (
            {
                "email": "x@example.com",
                "hs_additional_emails": "y@x.de;ada@example.com",
                "mobilephone": PHONE,
            },
            True,
        ),
        ({"email": "other@example.com", "phone": PHONE}, False),
        ({"email": "ada@example.com", "phone": "+12025550144"}, False),
        ({"email": "ada@example.com"}, False),
        ({"phone": PHONE}, False),
    ],
)
def test_only_what_the_crm_holds_for_the_number_is_written_to(
    make: Settings,
    authority: trustme.CA,
    portal: tuple[System, FakeHubSpot],
    outbox: Outbox,
    holds: dict[str, str],
    is_sent: bool,
) -> None:
    system, fake = portal
    fake.person(**holds)
    office = Office()
    with serving(office, authority, "starttls") as port:
        settings = make(port, **only_known(system))
        outbox.enqueue([due(customer_phone=PHONE)], NOW, settings)
        report = dispatch(outbox, "email", settings, now=NOW)
    assert (report.sent, report.skipped, len(office.mails)) == (is_sent, not is_sent, is_sent)
    if not is_sent:
        assert (
            known(outbox).last_error
            == "held back: the CRM does not hold this address for the caller's number"
        )


def test_who_claims_an_address_does_not_teach_it_to_the_crm(
    make: Settings, authority: trustme.CA, portal: tuple[System, FakeHubSpot], outbox: Outbox
) -> None:
    system, fake = portal
    # The one whose address is claimed is there already, without a number.
    victim = fake.person(email="victim@example.com", firstname="Vic")
    office = Office()
    with serving(office, authority, "starttls") as port:
        settings = make(port, **only_known(system))
        for call in ("1", "2"):
            outbox.enqueue([contact(PHONE, email="victim@example.com")], NOW, settings)
            outbox.enqueue([due(call, to_address="victim@example.com", customer_phone=PHONE)], NOW, settings)
            dispatch(outbox, "crm", settings, now=NOW)
            assert dispatch(outbox, "email", settings, now=NOW).skipped == 1
    assert office.mails == []
    assert fake.properties_of(victim) == {"email": "victim@example.com", "firstname": "Vic"}
    assert [one["properties"].get("email") for one in fake.objects.values()] == ["victim@example.com", None]


def test_without_a_crm_that_answers_no_mail_goes_out_and_none_is_lost(
    make: Settings, portal: tuple[System, FakeHubSpot], outbox: Outbox
) -> None:
    system, _ = portal
    for answer in (servers.says(500), servers.reset, servers.html(200)):
        system.always = lambda request, answer=answer: answer  # type: ignore[misc]
        settings = make(1, **only_known(system))
        with pytest.raises(
            DestinationUnavailable,
            match="hubspot does not say which addresses it holds, which AFTERCALL_EMAIL_ONLY",
        ):
            opened(settings).send(delivery(due(customer_phone=PHONE)), None)
    for crm in ("preview", "webhook"):
        secret = {"webhook_url": "http://x.test", "webhook_secret": "whsec_" + "A" * 40}
        with pytest.raises(DestinationUnavailable, match="needs a CRM that can be asked: set AFTERCALL_CRM"):
            opened(make(1, email_only_known=True, crm=crm, **secret)).send(delivery(due()), None)


def test_twelve_words_instead_of_addresses_stop_nothing(
    make: Settings, authority: trustme.CA, outbox: Outbox
) -> None:
    words = [
        "none",
        "n/a",
        "ann at shop",
        "unknown",
        "",
        "{{customer_email}}",
        "a@b.de, c@d.de",
        "@",
        "ann@shop",
    ]
    office = Office()
    with serving(office, authority, "starttls") as port:
        settings = make(port)
        bad = [due(f"b{number}", to_address=words[number % len(words)]) for number in range(12)]
        outbox.enqueue([*bad, due("1"), due("2", to_address="eve@shop.example.com")], NOW, settings)
        report = dispatch(outbox, "email", settings, now=NOW)
    assert (report.sent, report.skipped, report.dead, outbox.pauses()) == (2, 12, 0, [])
    reasons = {(outbox.action(row.action_key) or known(outbox)).last_error for row in bad}
    assert all(str(reason).startswith("held back: no address: ") for reason in reasons)
    # When an address arrives the mail goes out.
    with serving(office, authority, "starttls") as port:
        settings = make(port)
        outbox.enqueue([due("b0", to_address="ada@example.com")], NOW, settings)
        assert dispatch(outbox, "email", settings, now=NOW).sent == 1
