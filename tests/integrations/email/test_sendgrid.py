"""Mail through a fake of SendGrid that SendGrid's own description judges."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Limits, SupportsCheck
from integrations.email.rendering import bodies, message
from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
    RateLimited,
    Rejected,
    Suppressed,
    TransientError,
    Unreachable,
)
from integrations.outbox import DueAction
from tests.integrations import servers
from tests.integrations.email.mail_server import Settings, close, opened
from tests.integrations.email.sendgrid_fake import KEY, Account, complaint
from tests.integrations.examples import delivery
from tests.integrations.examples import email as due
from tests.integrations.faults.suite import CredentialFaults, FaultSuite, TlsFaults, UnderFault
from tests.integrations.servers import Answer, System, says


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        yield started


@pytest.fixture
def account(system: System) -> Iterator[Account]:
    system.always = fake = Account()
    yield fake
    assert fake.complaints == []


@pytest.fixture
def make(system: System, tmp_path: Path) -> Settings:
    def settings(**changes: Any) -> IntegrationSettings:
        ours: dict[str, Any] = {
            "emails": "sendgrid", "sendgrid_api_key": KEY, "sendgrid_url": system.url, "http_read_seconds": 1,
            "email_from_address": "help@shop.example.com", "email_allow_example_domains": True,
        }  # fmt: skip
        return IntegrationSettings(home=tmp_path, **(ours | changes))

    return settings


def test_a_mail_is_what_sendgrid_describes(account: Account, make: Settings) -> None:
    target = opened(make(email_list_unsubscribe="https://shop.de/stop/{mail}", email_reply_to="ada@shop.de"))
    for language in ("en", "ar"):
        for template in ("thank_you", "additional_resources", "apology_escalation"):
            target.send(
                delivery(due(template=template, language=language, summary="<b>x</b> & 👩‍👩‍👧")), None
            )
    target.send(delivery(due(customer_name=None, summary=None, issue_type=None)), None)
    close(target)
    assert len(account.taken) == 7


def test_it_is_the_same_mail_that_smtp_would_send(account: Account, make: Settings) -> None:
    settings = make(email_list_unsubscribe="mailto:stop@shop.de, https://shop.de/stop/{mail}")
    row = due(to_address="ada@bücher.example", summary="a\nb")
    assert opened(settings).send(delivery(row), None) == "m1"
    (sent,) = account.taken
    mail = message(delivery(row), settings)
    text, html = bodies(mail)
    assert [part["value"] for part in sent["content"]] == [text, html]
    assert sent["subject"] == mail["Subject"]
    (person,) = sent["personalizations"]
    assert person["to"] == [{"email": "ada@xn--bcher-kva.example", "name": "Ada"}]
    assert person["custom_args"] == {"action_key": row.action_key}
    assert sent["from"] == {"email": "help@shop.example.com", "name": "Customer Support"}
    for name in ("Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted"):
        assert sent["headers"][name] == mail[name]
    assert not any(one["enable"] for one in sent["tracking_settings"].values())


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (says(400, complaint("Does not contain a valid address.", "personalizations.0.to.0.email")), Rejected,
         r"SendGrid answered 400: Does not contain a valid address\. \(personalizations\.0\.to\.0\.email\)"),
        (says(401, complaint("authorization required")), DestinationUnavailable, "AFTERCALL_SENDGRID_API_KEY"),
        (says(403, complaint("The from address does not match a verified Sender Identity", "from")), Forbidden,
         "verified Sender Identity"),
        (says(404, b"nothing here"), DestinationUnavailable, "AFTERCALL_SENDGRID_URL"),
        (says(413, complaint("too large")), Rejected, "too large"),
        (says(429, complaint("too many requests")), RateLimited, "too many requests"),
        (says(500, complaint("try later")), TransientError, "try later"),
        (says(200, b"<html>Log in to the hotel's network</html>"), TransientError, "not 202"),
        (servers.html(503), TransientError, "Down & out"),
        (servers.reset, TransientError, "connection failed"),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    system: System, account: Account, make: Settings, answer: Answer, kind: type[Exception], words: str
) -> None:
    system.script.append(answer)
    with pytest.raises(kind, match=words) as error:
        opened(make()).send(delivery(due()), None)
    assert type(error.value) in ({kind, Unreachable} if kind is TransientError else {kind})
    assert KEY not in str(error.value)


def test_too_many_requests_wait_until_the_moment_that_sendgrid_names(
    system: System, account: Account, make: Settings
) -> None:
    reset = {"X-RateLimit-Reset": f"{int(time.time()) + 600}"}
    system.script += [says(429, b"", reset), says(429, b"", reset | {"Retry-After": "7"})]
    waits = []
    for _ in range(2):
        with pytest.raises(RateLimited) as error:
            opened(make()).send(delivery(due()), None)
        assert error.value.after is not None
        waits.append(error.value.after.total_seconds())
    assert 500 < waits[0] <= 600
    assert waits[1] == 7


def test_an_accepted_mail_without_an_id_goes_by_its_own(system: System, make: Settings) -> None:
    system.script.append(says(202, b""))
    settings = make()
    assert opened(settings).send(delivery(due()), None) == message(delivery(due()), settings)["Message-ID"]


def test_who_gets_none_gets_none_here_either(system: System, make: Settings) -> None:
    with pytest.raises(Suppressed, match="domain for examples"):
        opened(make(email_allow_example_domains=False, email_from_address="help@shop.de")).send(
            delivery(due()), None
        )
    assert system.requests == []


def test_a_look_at_the_key_sends_nothing(system: System, account: Account, make: Settings) -> None:
    def looked(**changes: Any) -> dict[str, bool]:
        target = opened(make(**changes))
        assert isinstance(target, SupportsCheck)
        assert target.limits == Limits(8)  # type: ignore[attr-defined]
        return {result.name: result.is_fine for result in target.check()}

    assert looked() == dict.fromkeys(("credentials", "may send", "sender", "brand", "templates"), True)
    account.scopes = ["stats.read"]
    assert looked()["may send"] is False
    assert looked(sendgrid_api_key="SG.wrong")["credentials"] is False
    assert {request.path for request in system.requests} == {"/v3/scopes"}


def test_what_is_missing_is_named(make: Settings) -> None:
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_SENDGRID_API_KEY"):
        opened(make(sendgrid_api_key=""))
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_SENDGRID_URL"):
        opened(make(sendgrid_url="api.sendgrid.com"))


class UnderSendGrid(UnderFault):
    """A person's mailbox shows mails of one Message-ID once; SendGrid itself keeps every one."""

    channel = "email"

    def __init__(self, system: System) -> None:
        self.upstream = system.address
        system.always = self.account = Account()

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "emails": "sendgrid", "sendgrid_api_key": KEY, "sendgrid_url": url,
            "email_from_address": "help@shop.example.com", "email_allow_example_domains": True,
        }  # fmt: skip

    def wrong_credentials(self) -> dict[str, Any]:
        return {"sendgrid_api_key": "SG.wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [due(case)]

    def count(self, action: DueAction) -> int:
        ours = {"action_key": action.action_key}
        taken = (one for one in self.account.taken if one["personalizations"][0]["custom_args"] == ours)
        return len({one["headers"]["Message-ID"] for one in taken})


class TestFaults(FaultSuite, TlsFaults, CredentialFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            under = UnderSendGrid(system)
            yield under
            assert under.account.complaints == []
