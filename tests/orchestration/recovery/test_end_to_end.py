"""Lost calls through real passes: recovered they act once; late webhooks change nothing; old calls do not act."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestration.config import OrchestrationSettings
from orchestration.recovery.platform import Bounds
from orchestration.recovery.recover import recover
from tests.conftest import Installation, free_port
from tests.orchestration.recovery.apis import ListApi
from tests.orchestration.recovery.conftest import KEY, asking
from tests.orchestration.recovery.test_recover import webhooks

NOW = datetime.now(UTC)
ACTIONS = "select action_key, kind, status, attempts, sent_at, payload_hash from actions order by action_key"
LOSSES = """
    select sum(listed_call_count), sum(received_call_count), sum(recovered_call_count), sum(missing_call_count)
    from webhook_loss_daily
"""


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, ListApi]:
    """A home after one pass, with a call of 40 days ago, one of which the analytics were lost, and one lost whole."""
    home = Installation(tmp_path_factory.mktemp("lost") / "home", free_port()).built()
    settings = OrchestrationSettings(home=home.home)
    with ListApi("atoms", KEY) as api:
        ages = (timedelta(days=40), timedelta(hours=3), timedelta(hours=2))
        api.calls = [api.dialect.call(number, NOW - age, 60) for number, age in enumerate(ages)]
        webhooks(settings, api, api.calls[1], "call.end")
        recovery = asking(api, home.home)
        recover(settings, recovery, "atoms", Bounds(NOW - timedelta(days=41), NOW - timedelta(days=39)))
        recover(settings, recovery, "atoms")
    home.aftercall("run", AFTERCALL_IGNORE_ACTION_AGE="0")
    return home, api


def test_recovered_calls_are_calls_and_act_under_the_age_limits(lost: tuple[Installation, ListApi]) -> None:
    home, api = lost
    old, half, whole = (api.dialect.id_of(call) for call in api.calls)
    rows = home.mart("select call_id, summary, turn_count, duration_seconds from calls order by started_at")
    assert rows == [(call_id, "The parcel did not come.", 1, 60.0) for call_id in (old, half, whole)]
    acted = home.outbox("select call_id, kind, status, attempts from actions where kind <> 'contact'")
    assert {status for call_id, _, status, _ in acted if call_id == old} == {"skipped"}
    for call_id in (half, whole):
        kinds = {kind: (status, tries) for of, kind, status, tries in acted if of == call_id}
        assert set(kinds) >= {"ticket", "follow_up_email", "note", "task", "unhappy_customer"}
        assert set(kinds.values()) == {("sent", 1)}


def test_a_webhook_that_comes_later_changes_nothing_twice(lost: tuple[Installation, ListApi]) -> None:
    home, api = lost
    actions, marts = home.outbox(ACTIONS), home.marts()
    assert home.mart(LOSSES) == [(3, 0, 3, 0)]
    for call in api.calls:
        webhooks(OrchestrationSettings(home=home.home), api, call, "call.end", "analytics.completed")
    home.aftercall("run", AFTERCALL_IGNORE_ACTION_AGE="0")
    assert home.outbox(ACTIONS) == actions
    assert home.marts() == marts
    assert home.warehouse("select count(*) from raw.call_events") == [(11,)]
    assert home.mart(LOSSES) == [(3, 3, 0, 0)]


def test_a_later_webhook_that_says_more_updates_and_sends_nothing_again(
    lost: tuple[Installation, ListApi],
) -> None:
    home, api = lost
    told = "The parcel came broken, and the money is wanted back."
    whole = api.calls[-1]
    fuller = {**whole, "postCallAnalytics": {**whole["postCallAnalytics"], "summary": told}}
    call_id = api.dialect.id_of(whole)
    of_call = ACTIONS.replace("actions order", f"actions where call_id = '{call_id}' order")
    before = home.outbox(of_call)
    webhooks(OrchestrationSettings(home=home.home), api, fuller, "analytics.completed")
    home.aftercall("run", AFTERCALL_IGNORE_ACTION_AGE="0")
    after = home.outbox(of_call)
    assert home.mart(f"select call_id from calls where summary = '{told}'") == [(call_id,)]
    assert [key for key, *_ in after] == [key for key, *_ in before]
    updated = {now[1] for now, then in zip(after, before, strict=True) if now != then}
    assert "ticket" in updated
    assert updated.isdisjoint({"follow_up_email", "unhappy_customer"})
