"""Routes and limits: which destinations an action goes to, and errors that say what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Limits, UnknownDestination
from integrations.outbox.placement import facts_of
from integrations.routes import BadRoutes, configured, destinations, routes
from tests.integrations.examples import contact, email, slack, ticket

ROUTES = """
[[route]]
channel = "ticket"
when = { queue = ["cars", "billing"], vip = true }
to = ["webhook", "preview"]

[[route]]
channel = "ticket"
when = { source = "atoms", agent = "a7" }
to = ["webhook"]

[[route]]
channel = "email"
when = { template = "thank_you" }
to = ["preview"]

[limits.webhook]
per_second = 2.5
"""


@pytest.fixture
def settings(tmp_path: Path) -> IntegrationSettings:
    (tmp_path / "destinations.toml").write_text(ROUTES)
    return IntegrationSettings(home=tmp_path, tickets="preview", emails="smtp, webhook")


def goes(settings: IntegrationSettings, action: Any, **facts: Any) -> tuple[str, ...]:
    known = facts_of(action) | facts
    return destinations(action.channel, known, settings, routes(settings))


def test_the_first_route_that_fits_decides(settings: IntegrationSettings) -> None:
    assert goes(settings, ticket(), vip=True) == ("webhook", "preview")
    assert goes(settings, ticket(queue="billing"), vip=True, agent="a7") == ("webhook", "preview")
    assert goes(settings, ticket(), agent="a7") == ("webhook",)
    assert goes(settings, ticket(), agent="a8") == ("preview",)
    assert goes(settings, email()) == ("preview",)
    assert goes(settings, email(template="apology_escalation")) == ("smtp", "webhook")
    assert goes(settings, slack()) == ("preview",)


def test_facts_come_from_the_action_or_its_payload() -> None:
    assert facts_of(contact(is_vip=True))["vip"] is True
    assert facts_of(slack())["agent"] == "a1"
    assert facts_of(ticket())["queue"] == "cars"


def test_limits_of_the_file_come_before_a_destinations_own(settings: IntegrationSettings) -> None:
    assert routes(settings).limits_of("webhook", Limits(concurrency=3)) == Limits(3, 2.5)
    assert routes(settings).limits_of("preview", Limits(2, 1.0)) == Limits(2, 1.0)


def test_all_that_may_be_gone_to(settings: IntegrationSettings) -> None:
    assert configured("ticket", settings) == ("preview", "webhook")
    with pytest.raises(
        UnknownDestination, match=r"AFTERCALL_CRM='fax': crm has no destination 'fax'; there is"
    ):
        configured("crm", IntegrationSettings(home=settings.home, crm="fax"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("route = 1 2", "is not TOML"),
        ("[[route]]\nto = ['preview']", "route 1, channel: Field required"),
        ("[[route]]\nchannel = 'fax'\nto = ['preview']", "route 1, channel: Input should be 'ticket'"),
        ("[[route]]\nchannel = 'ticket'\nto = []", "route 1, to:"),
        ("[[route]]\nchannel = 'ticket'\nto = ['nort']", "ticket has no destination 'nort'; there is .*preview"),
        (
            "[[route]]\nchannel = 'ticket'\nto = ['preview']\n[[route]]\nchannel = 'ticket'\n"
            "when = { colour = 'red' }\nto = ['preview']",
            "route 2, when: .*no route can ask for colour; it may ask for kind, source, queue",
        ),
        ("[[route]]\nchannel = 'ticket'\nwhen = { vip = 'yes' }\nto = ['preview']", "vip is true or false"),
        (
            "[[route]]\nchannel = 'ticket'\nwhen = { template = 'thank_you' }\nto = ['preview']",
            "route 1: .*no ticket action has a template; only those of channel 'email' have",
        ),
        ("[[route]]\nchannel = 'ticket'\nif = 1\nto = ['preview']", "route 1, if: Extra inputs"),
        ("[limits.nowhere]\nconcurrency = 2", "no destination is called nowhere"),
        ("[limits.preview]\nconcurrency = 0", "limits, preview, concurrency: .*greater than or equal to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "destinations.toml").write_text(text)
    with pytest.raises(BadRoutes, match=message):
        routes(IntegrationSettings(home=tmp_path))


def test_a_file_that_was_named_and_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRoutes, match="AFTERCALL_DESTINATIONS_FILE"):
        routes(IntegrationSettings(home=tmp_path, destinations_file=tmp_path / "no.toml"))
    assert routes(IntegrationSettings(home=tmp_path)).route == ()
