"""What the board, the CLI and the warehouse ask of the outbox."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import Count, NotPossible, Outbox, SkipReason, dispatch
from tests.integrations.examples import NOW, contact, email, slack, ticket


def test_watermarks(outbox: Outbox) -> None:
    assert outbox.watermark("sync_tickets") is None
    outbox.set_watermark("sync_tickets", "a")
    outbox.set_watermark("sync_tickets", "b")
    assert outbox.watermark("sync_tickets") == "b"


def test_counts_and_lists(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([ticket("1"), ticket("2"), email("1"), slack("2")], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    assert Count("ticket", "ticket", "sent", 2) in outbox.counts()
    assert {action.channel for action in outbox.actions(call_id="1")} == {"ticket", "email"}
    assert [action.kind for action in outbox.actions(status="pending", channel="chat")] == [
        "transfer_requested"
    ]
    assert len(outbox.actions(limit=3)) == 3
    assert len(outbox.actions(limit=3, offset=3)) == 1
    assert [preview.channel for preview in outbox.previews(channel="ticket", limit=1_000)] == [
        "ticket",
        "ticket",
    ]


def test_times_are_utc_whatever_zone_they_came_in(outbox: Outbox, settings: IntegrationSettings) -> None:
    west = datetime(2026, 11, 2, 0, 0, tzinfo=timezone(timedelta(hours=-8)))
    outbox.enqueue([ticket("1", due_at=west), ticket("2", due_at=NOW.replace(tzinfo=None))], west, settings)
    for action in outbox.actions():
        assert (action.due_at, action.created_at) == (NOW, NOW)
        assert action.created_at.utcoffset() == timedelta(0)


def test_changes_come_once_and_none_is_missed(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(10)], NOW, settings)
    batches = list(outbox.actions_changed_since(None, batch=3))
    assert [len(batch.rows) for batch in batches] == [3, 3, 3, 1]
    assert len({row["action_key"] for batch in batches for row in batch.rows}) == 10
    row = batches[0].rows[0]
    assert row["payload"]["queue"] == "cars"
    assert set(row) == {
        "action_key", "channel", "kind", "source", "call_id", "destination", "payload", "status", "attempts",
        "external_id", "last_error", "due_at", "next_attempt_at", "created_at", "updated_at", "sent_at",
    }  # fmt: skip
    cursor = batches[-1].cursor
    assert list(outbox.actions_changed_since(cursor)) == []
    # An older clock does not hide a change, and neither does the same instant.
    outbox.enqueue([ticket("3", title="new")], NOW - timedelta(days=1), settings)
    (batch,) = outbox.actions_changed_since(cursor)
    assert [row["action_key"] for row in batch.rows] == ["ticket:atoms:3"]


def test_writers_at_once_lose_no_change(outbox: Outbox, settings: IntegrationSettings) -> None:
    seen: list[str] = []

    def write(part: int) -> None:
        for number in range(10):
            outbox.enqueue([contact(f"+{part}{number}")], NOW, settings)

    writers = [threading.Thread(target=write, args=(part,)) for part in range(1, 5)]
    for writer in writers:
        writer.start()
    cursor: str | None = None
    while any(writer.is_alive() for writer in writers):
        for batch in outbox.actions_changed_since(cursor, batch=2):
            seen += [row["action_key"] for row in batch.rows]
            cursor = batch.cursor
    for batch in outbox.actions_changed_since(cursor):
        seen += [row["action_key"] for row in batch.rows]
    assert len(seen) == len(set(seen)) == 40


def test_retry_and_give_up(outbox: Outbox, settings: IntegrationSettings) -> None:
    late = NOW + timedelta(days=400)
    outbox.enqueue([email("1"), ticket("1")], late, settings)
    outbox.enqueue([email("2", to_address=None, skip_reason=SkipReason.NO_ADDRESS)], NOW, settings)
    outbox.retry(email("1").action_key)
    assert dispatch(outbox, "email", settings, now=late).sent == 1
    with pytest.raises(NotPossible, match="sent only once"):
        outbox.retry(email("1").action_key)
    with pytest.raises(NotPossible, match="no address"):
        outbox.retry(email("2").action_key)
    with pytest.raises(NotPossible, match="has been sent"):
        outbox.give_up(email("1").action_key, "Grace")
    with pytest.raises(NotPossible, match="no action"):
        outbox.retry("ticket:atoms:404")
    outbox.give_up(ticket("1").action_key, "Grace")
    closed = outbox.action(ticket("1").action_key)
    assert closed is not None
    assert (closed.status, closed.given_up_by, closed.last_error) == (
        "dead",
        "Grace",
        "given up by Grace; too old",
    )


def test_the_backlog(outbox: Outbox, settings: IntegrationSettings) -> None:
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    assert outbox.backlog("ticket", NOW).due == 2
    dispatch(outbox, "ticket", settings, now=NOW)
    assert outbox.backlog("ticket", NOW).due == 0
