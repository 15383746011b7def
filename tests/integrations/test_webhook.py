"""Signed webhooks, opened by the libraries that receivers use."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix

from integrations.config import IntegrationSettings
from integrations.destinations import SupportsCheck, available, open_destination
from integrations.errors import DestinationUnavailable, RateLimited, Rejected, TransientError
from integrations.outbox import Outbox, dispatch
from integrations.webhook import message_id
from tests.integrations import servers
from tests.integrations.examples import NOW, contact, delivery, email, note, slack, task, ticket
from tests.integrations.servers import System, says

OLD, NEW = ("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
CHANNELS = {"ticket": "webhook", "email": "webhook", "crm": "webhook", "chat": "signed_webhook"}
Settings = Callable[..., IntegrationSettings]


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        started.always = lambda request: says(200, b"")
        yield started


@pytest.fixture
def make(system: System, tmp_path: Path) -> Settings:
    def settings(**changes: Any) -> IntegrationSettings:
        names = {"ticket": "tickets", "email": "emails", "crm": "crm", "chat": "chat"}
        chosen = {names[channel]: name for channel, name in CHANNELS.items()}
        ours: dict[str, Any] = {
            "webhook_url": system.url + "/hook/key", "webhook_secret": OLD, "http_read_seconds": 1,
            "email_allow_example_domains": True, "outbox_url": f"sqlite:///{tmp_path / 'outbox.sqlite'}",
        }  # fmt: skip
        return IntegrationSettings(home=tmp_path, **(chosen | ours | changes))

    return settings


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.Webhook])
def test_every_channel_is_opened_by_the_libraries(system: System, make: Settings, library: Any) -> None:
    for row in (ticket(), email(), contact(), note(), task(), slack()):
        target = open_destination(row.channel, make())
        assert target.name == CHANNELS[row.channel]
        assert target.send(delivery(row), None) == message_id(row.action_key, None)
        request = system.requests[-1]
        event = library(OLD).verify(request.body, request.headers)
        event = event if isinstance(event, dict) else json.loads(request.body)
        assert event["type"] == f"{row.kind}.created"
        assert event["data"]["action_key"] == row.action_key
        assert request.headers["webhook-id"] == row.action_key
        assert event["data"]["content"]


def test_what_the_channels_say(system: System, make: Settings) -> None:
    contents = {}
    for row in (ticket(), email(), contact(), slack()):
        open_destination(row.channel, make()).send(delivery(row), None)
        contents[row.channel] = system.requests[-1].json()["data"]["content"]
    assert contents["ticket"]["queue"] == "cars"
    assert contents["email"]["to"] == "Ada <ada@example.com>"
    assert "<p" in contents["email"]["html"]
    assert contents["crm"]["phone"] == "+12025550143"
    assert contents["chat"]["channel"] == "#support"


def test_a_channel_may_have_an_address_of_its_own(system: System, make: Settings) -> None:
    own = {f"webhook_url_{channel}": f"{system.url}/{channel}" for channel in CHANNELS if channel != "crm"}
    for row in (ticket(), email(), slack(), contact()):
        open_destination(row.channel, make(**own)).send(delivery(row), None)
    assert [request.path for request in system.requests] == ["/ticket", "/email", "/chat", "/hook/key"]
    system.always = lambda request: says(404)
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_WEBHOOK_URL_TICKET"):
        open_destination("ticket", make(**own)).send(delivery(ticket()), None)


def test_while_a_secret_is_rotated_both_open_it(system: System, make: Settings) -> None:
    open_destination("ticket", make(webhook_secret=f"{OLD}, {NEW}")).send(delivery(ticket()), None)
    request = system.requests[0]
    for secret in (OLD, NEW):
        assert standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(
            request.body, request.headers
        )


def test_a_repeat_has_the_same_id_and_an_update_another(system: System, make: Settings) -> None:
    target = open_destination("ticket", make())
    system.script += [servers.reset, says(201, {"id": 4711})]
    with pytest.raises(TransientError):
        target.send(delivery(ticket()), None)
    assert target.send(delivery(ticket()), None) == "4711"
    for title in ("new", "new", "newer"):
        assert target.send(delivery(ticket(title=title)), "4711") == "4711"
    first, again, *updates = (request.headers["webhook-id"] for request in system.requests)
    assert first == again == "ticket:atoms:1"
    assert updates[0] == updates[1] != updates[2]
    assert system.requests[-1].json()["type"] == "ticket.updated"
    assert system.requests[-1].json()["data"]["external_id"] == "4711"


@pytest.mark.parametrize(
    ("answer", "is_fine", "words"),
    [
        (says(204, b"", {"Allow": "OPTIONS, POST"}), True, "yes"),
        (says(200, b"ok"), True, "yes"),
        (says(405), True, "yes"),
        (says(400), True, "yes"),
        (says(204, b"", {"Allow": "GET, HEAD"}), False, "no POST"),
        (says(404), False, "AFTERCALL_WEBHOOK_URL"),
        (says(410), False, "AFTERCALL_WEBHOOK_URL"),
        (servers.reset, False, "the connection failed"),
    ],
)
def test_a_check_posts_nothing(
    system: System, make: Settings, answer: servers.Answer, is_fine: bool, words: str
) -> None:
    system.always = lambda request: answer
    target = open_destination("ticket", make())
    assert isinstance(target, SupportsCheck)
    (result,) = target.check()
    assert (result.is_fine, words in result.message) == (is_fine, True), result
    assert [(request.method, request.body) for request in system.requests] == [("OPTIONS", b"")]


@pytest.mark.parametrize("key", ["ticket:atoms:a.b", "note:x:день\r\nX: y", "k" * 1_000, "a\ud800"])
def test_any_key_fits_into_the_header(key: str) -> None:
    identity = message_id(key, None)
    assert identity.isascii()
    assert identity.isprintable()
    assert len(identity) <= 200
    assert not set(identity) & set(". \r\n")
    assert message_id(key, None) == identity != message_id(key + "x", None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, DestinationUnavailable),
        (404, DestinationUnavailable),
        (410, DestinationUnavailable),
        (429, RateLimited),
        (500, TransientError),
    ],
)
def test_what_an_answer_means(system: System, make: Settings, status: int, kind: type[Exception]) -> None:
    system.script.append(says(status, {"message": "workflow is not active"}))
    with pytest.raises(kind, match="workflow is not active") as error:
        open_destination("ticket", make()).send(delivery(ticket()), None)
    assert "/hook/key" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook_secret": ""},
        {"webhook_secret": "whsec_c2hvcnQ="},
        {"webhook_secret": "päss"},
        {"webhook_url": ""},
    ],
)
def test_what_is_missing_stops_the_channel_and_is_named(
    make: Settings, outbox: Outbox, wrong: dict[str, str]
) -> None:
    settings = make(**wrong)
    outbox.enqueue([ticket()], NOW, settings)
    report = dispatch(outbox, "ticket", settings, now=NOW)
    assert (report.due, report.waiting) == (0, 1)
    assert f"set AFTERCALL_{next(iter(wrong)).upper()}" in outbox.pauses()[0].reason


def test_through_the_outbox_created_once_and_then_updated(
    system: System, make: Settings, outbox: Outbox
) -> None:
    settings = make()
    system.script += [says(500), says(200, {"id": "T1"})]
    outbox.enqueue([ticket()], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW).retrying == 1
    outbox.retry(ticket().action_key)
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 1
    outbox.enqueue([ticket(priority="high")], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW).updated == 1
    action = outbox.action(ticket().action_key)
    assert action is not None
    assert (action.destination, action.external_id, action.status) == ("webhook", "T1", "sent")
    assert [request.json()["type"] for request in system.requests] == [
        "ticket.created",
        "ticket.created",
        "ticket.updated",
    ]


def test_the_settings_do_not_show_it(make: Settings) -> None:
    assert "/hook/key" not in repr(make())
    assert all(name in available(channel) for channel, name in CHANNELS.items())
