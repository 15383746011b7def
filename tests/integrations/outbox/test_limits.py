"""Limits of mails per address, per domain and in all: what callers say alone does not decide how much is written."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from integrations.addresses import mailbox_of
from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, SkipReason, dispatch, open_outbox
from tests.integrations.examples import NOW, alert, email, ticket

Settings = Callable[..., IntegrationSettings]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFF = {"email_most_per_address_day": 0, "email_most_per_domain_day": 0, "email_most_per_hour": 0}


def states(outbox: Outbox) -> Counter[str]:
    """How many mails there are in each status; of those skipped, by their reason."""
    rows = outbox.actions(channel="email", kind="follow_up_email", limit=1_000)
    return Counter(str(row.last_error) if row.status == "skipped" else row.status for row in rows)


def test_one_address_gets_so_many_a_day_however_it_is_spelt(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings(email_most_per_address_day=10)
    spelt = ["ada@shop.de", "ADA@Shop.de ", "ada+1@shop.de", "ada+x.y@SHOP.DE."]
    for number in range(40):
        due_at = NOW + number * timedelta(minutes=2)
        row = email(f"{number}", to_address=spelt[number % 4], due_at=due_at)
        outbox.enqueue([row], due_at, settings)
    assert states(outbox) == {"pending": 10, "too many": 30}
    assert dispatch(outbox, "email", settings, now=NOW + HOUR).waiting == 0
    outbox.enqueue(
        [email("next day", to_address="ada@shop.de", due_at=NOW + 2 * DAY)], NOW + 2 * DAY, settings
    )
    outbox.enqueue([email("another", to_address="eve@shop.de")], NOW, settings)
    assert states(outbox)["pending"] == 2


@pytest.mark.parametrize(
    ("limit", "address", "most"),
    [
        ({"email_most_per_domain_day": 4}, "c{}@shop.de", 4),
        ({"email_most_per_domain_day": 4}, "c{}@gmail.com", 20),
        ({"email_most_per_hour": 7}, "c{0}@shop{0}.de", 7),
        ({"email_most_per_address_day": 3}, "a.d.a@gmail.com", 3),
        ({}, "ada@shop.de", 20),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_each_limit_holds_in_one_fill_and_over_many(
    outbox: Outbox, make_settings: Settings, limit: dict[str, int], address: str, most: int, together: bool
) -> None:
    settings = make_settings(**(OFF | limit))
    rows = [email(str(number), to_address=address.format(number)) for number in range(20)]
    for batch in [rows] if together else [[row] for row in rows]:
        outbox.enqueue(batch, NOW, settings)
    assert states(outbox)["pending"] == most
    assert states(outbox)["too many"] == 20 - most


def test_it_holds_for_several_fills_at_once_and_after_a_restart(url: str, make_settings: Settings) -> None:
    settings = make_settings(email_most_per_address_day=10)

    def fill(part: int) -> None:
        with open_outbox(url) as outbox:
            for number in range(6):
                outbox.enqueue([email(f"{part}-{number}")], NOW, settings)

    open_outbox(url).close()
    threads = [threading.Thread(target=fill, args=(part,)) for part in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_outbox(url) as outbox:
        assert states(outbox) == {"pending": 10, "too many": 20}


def test_there_are_limits_unless_somebody_switches_them_off(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    outbox.enqueue([email(str(number)) for number in range(100)], NOW, settings)
    assert states(outbox) == {"pending": 30, "too many": 70}


def test_it_is_final_but_for_a_person(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings(email_most_per_address_day=1)
    outbox.enqueue([email("1"), email("2")], NOW, settings)
    outbox.enqueue([email("2", summary="More is known.")], NOW + DAY, settings)
    assert states(outbox) == {"pending": 1, "too many": 1}
    outbox.retry(email("2").action_key, by="Ada")
    outbox.enqueue([email("2", summary="More is known still.")], NOW, settings)
    assert dispatch(outbox, "email", settings, now=NOW).sent == 2


def test_an_address_that_comes_later_or_changes_counts_then(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings(email_most_per_address_day=1)
    outbox.enqueue(
        [email("1"), email("2", to_address=None, skip_reason=SkipReason.NO_ADDRESS)], NOW, settings
    )
    outbox.enqueue([email("3", to_address="eve@example.com")], NOW, settings)
    outbox.enqueue([email("2"), email("3")], NOW, settings)
    assert states(outbox) == {"pending": 1, "too many": 2}


def test_two_destinations_are_one_mail_and_what_is_skipped_counts_for_nothing(
    outbox: Outbox, make_settings: Settings, systems: object
) -> None:
    settings = make_settings(emails="north,south", email_most_per_address_day=2)
    too_old = email("old", due_at=NOW - 30 * HOUR)
    outbox.enqueue([too_old, email("1"), email("2"), email("3")], NOW, settings)
    assert states(outbox) == {"too old": 2, "pending": 4, "too many": 2}


def test_what_waited_for_hours_is_no_flood(outbox: Outbox, make_settings: Settings) -> None:
    """A pass that comes late brings the mails of a whole day at once: they count by when they were due."""
    settings = make_settings(**OFF | {"email_most_per_hour": 3})
    rows = [email(str(number), due_at=NOW + number * timedelta(minutes=31)) for number in range(16)]
    outbox.enqueue(rows, NOW + 9 * HOUR, settings)
    assert states(outbox) == {"pending": 16}


def test_our_own_people_and_other_channels_are_not_counted(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings(
        email_most_per_address_day=1, email_most_per_hour=1, alerts="email", alert_email="ada@example.com"
    )
    for number in range(5):
        alert(outbox, f"run:{number}", "The run failed", settings)
    outbox.enqueue([email("1"), *(ticket(str(number)) for number in range(5))], NOW, settings)
    assert states(outbox) == {"pending": 1}
    assert {row.status for row in outbox.actions(limit=100)} == {"pending"}


@pytest.mark.parametrize(
    ("value", "mailbox"),
    [
        ("Ann.Lee@Example.COM", "ann.lee@example.com"), ("ann+a@example.com", "ann@example.com"),
        ("a.nn@googlemail.com", "ann@gmail.com"), ("x@bücher.de", "x@xn--bcher-kva.de"),
        ("+@example.com", "+@example.com"),
    ],
)  # fmt: skip
def test_one_mailbox_has_one_spelling(value: str, mailbox: str) -> None:
    parts = mailbox_of(value)
    assert parts is not None
    assert parts[0] == mailbox


@pytest.mark.parametrize("value", [None, "", "nobody", "@example.com", "ann@", 7])
def test_what_is_no_address_has_no_mailbox(value: object) -> None:
    assert mailbox_of(value) is None
