"""Each platform's list API: all of it is found whatever goes wrong, and landed once in its webhook's shape."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.config import OrchestrationSettings
from orchestration.recovery import PLATFORMS
from orchestration.recovery.api_client import RecoveryFailed
from orchestration.recovery.config import RecoverySettings
from orchestration.recovery.platform import Bounds
from orchestration.recovery.recover import recover
from tests.orchestration.recovery import apis
from tests.orchestration.recovery.apis import ListApi
from tests.orchestration.recovery.conftest import Landed, asking

# two pages and a bit: the pages of the two APIs that say nothing of a next one are as long as was asked for
COUNTS = {"atoms": 7, "bland": 205, "elevenlabs": 7, "retell": 7, "vapi": 205}
EVENTS = {
    "atoms": {"call.end", "analytics.completed"},
    "bland": {"analytics.completed"},
    "elevenlabs": {"analytics.completed"},
    "retell": {"call.end", "analytics.completed"},
    "vapi": {"analytics.completed"},
}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
DAY = Bounds(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
every_platform = pytest.mark.parametrize("api", sorted(PLATFORMS), indirect=True)


def make(api: ListApi, count: int | None = None, at: datetime = NOON) -> list[str]:
    """Calls a minute apart, of a minute; their ids."""
    dialect, count = api.dialect, count or COUNTS[api.name]
    api.calls += [dialect.call(n, at + timedelta(minutes=n), 60) for n in range(count)]
    return [dialect.id_of(call) for call in api.calls[-count:]]


@every_platform
def test_finds_every_page_through_faults_and_lands_each_event_once(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    ids = make(api)
    api.calls.append(api.dialect.call(900, DAY.since - timedelta(days=3), 60))
    api.faults = [apis.too_busy, None, apis.broken, None, apis.cut_off]
    report = recover(settings, recovery, api.name, DAY)
    lines = landed()
    types = EVENTS[api.name]
    assert Counter(line["call_id"] for line in lines) == Counter({call_id: len(types) for call_id in ids})
    assert {line["event_type"] for line in lines} == types
    assert {line["event_id"] for line in lines} == {
        f"recovered:{api.name}:{kind}:{call_id}" for kind in types for call_id in ids
    }
    assert report.missing == len(ids)
    assert report.landed == len(lines)
    if api.name not in {"bland", "vapi"}:
        assert len(api.lists()) > len(ids) / api.page
    again = recover(settings, recovery, api.name, DAY)
    assert (again.missing, again.landed, len(landed())) == (0, 0, len(lines))


@every_platform
def test_a_recovered_event_says_so_and_says_what_its_webhook_would(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    make(api, 1)
    recover(settings, recovery, api.name, DAY)
    for line in landed():
        assert line["payload"]["recovered"]["from"] == PLATFORMS[api.name].calls
        assert line["customer_phone"].lstrip("+") == "14155550000"
        assert line["direction"] == "inbound"
        assert line["occurred_at"] == (NOON + timedelta(seconds=60)).isoformat(
            timespec="microseconds"
        ).replace("+00:00", "Z")
        # the transcript is only in the detail
        said = str(line["payload"])
        assert "Where is it?" in said or "Wo ist mein Paket? 📦" in said


@pytest.mark.parametrize("api", ["atoms", "bland"], indirect=True)
def test_a_call_that_is_gone_is_landed_as_it_was_listed(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    ids = make(api, 2)
    api.on_request = lambda asked: (
        api.calls.clear() if api.dialect.detail_of(asked.path) is not None else None
    )
    recover(settings, recovery, api.name, DAY)
    assert {line["call_id"] for line in landed()} == set(ids)


@pytest.mark.parametrize("api", ["retell"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (apis.nonsense, "answered without a list at"),
        (apis.page_of_html, "did not answer with JSON"),
        (apis.broken, "answered 500"),
        (apis.cut_off, "cannot be reached"),
    ],
)
def test_an_api_that_stays_broken_is_told_plainly_and_nothing_lands(
    api: ListApi, settings: OrchestrationSettings, landed: Landed, fault: apis.Fault, told: str
) -> None:
    make(api, 4)
    api.faults = [None, *[fault] * 9]
    with pytest.raises(RecoveryFailed, match=told) as failure:
        recover(settings, asking(api, settings.home, recovery_attempts=1), api.name, DAY)
    assert str(failure.value).startswith(api.name)
    assert landed() == []
    api.faults = []
    assert recover(settings, asking(api, settings.home), api.name, DAY).missing == 4


@pytest.mark.parametrize("api", ["atoms", "elevenlabs"], indirect=True)
def test_a_refused_or_missing_key_is_named(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings
) -> None:
    setting = f"AFTERCALL_API_KEY_{api.name.upper()}"
    api.key = "another"
    with pytest.raises(RecoveryFailed, match=f"refused the key .401.; look at {setting}"):
        recover(settings, recovery, api.name, DAY)
    with pytest.raises(RecoveryFailed, match=f"set {setting}"):
        recover(settings, recovery.model_copy(update={"api_keys": {}}), api.name, DAY)


def test_nobody_listens(settings: OrchestrationSettings, recovery: RecoverySettings, api: ListApi) -> None:
    nobody = recovery.model_copy(update={"api_urls": {"atoms": "http://127.0.0.1:9"}, "recovery_attempts": 1})
    with pytest.raises(RecoveryFailed, match="atoms: its API cannot be reached"):
        recover(settings, nobody, "atoms", DAY)
