"""What the vendors' own packages make of the fake APIs, and of a recovered body: they judge both."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from smallestai import SmallestAI
from smallestai.atoms.types.webhook_event_analytics_completed import WebhookEventAnalyticsCompleted
from smallestai.atoms.types.webhook_event_post_conversation import WebhookEventPostConversation
from smallestai.environment import SmallestAIEnvironment

from orchestration.recovery import PLATFORMS
from tests.orchestration.recovery.apis import ListApi
from tests.orchestration.recovery.dialects import DIALECTS

NOW = datetime.now(UTC)


@pytest.mark.parametrize("api", ["retell"], indirect=True)
def test_retells_package_reads_the_fake(api: ListApi) -> None:
    from retell import Retell  # here, because it takes seconds, in every worker of a test run

    api.calls = [api.dialect.call(number, NOW - timedelta(hours=2), 60) for number in range(5)]
    client = Retell(api_key=api.key, base_url=api.url, max_retries=0, _strict_response_validation=True)
    moment = PLATFORMS["retell"].moment
    between: Any = {"type": "range", "op": "bt", "value": [moment(NOW - timedelta(days=1)), moment(NOW)]}
    asked: Any = {"filter_criteria": {"start_timestamp": between}, "sort_order": "ascending", "limit": 100}
    page = client.call.list(**asked)
    assert page.has_more
    rest = client.call.list(**asked, pagination_key=page.pagination_key or "")
    assert [call.call_id for call in (*page.items, *rest.items)] == [call["call_id"] for call in api.calls]
    # what the package sends is what the listing sends
    endpoint = PLATFORMS["retell"].listing(NOW)
    assert f"/{endpoint['path']}" == api.asked[0].path
    assert {**endpoint["json"], "filter_criteria": None} == {**api.asked[0].body, "filter_criteria": None}
    detail = client.call.retrieve(api.calls[0]["call_id"])
    assert detail.transcript == "Agent: Hello\nUser: Where is it?"
    assert api.asked[-1].path == f"/v2/get-call/{api.calls[0]['call_id']}"


@pytest.mark.parametrize("api", ["atoms"], indirect=True)
def test_the_package_of_atoms_reads_the_fake(api: ListApi) -> None:
    api.calls = [api.dialect.call(number, NOW - timedelta(hours=2), 60) for number in range(5)]
    there = SmallestAIEnvironment(atoms=api.url, waves=api.url, waves_ws=api.url, payment=api.url)
    client = SmallestAI(api_key=api.key, environment=there)
    bounds = {"date_from": NOW - timedelta(days=1), "date_to": NOW}
    page = client.atoms.calls.list(page=1, limit=100, **bounds).data
    assert page is not None
    assert page.pagination is not None
    assert (page.pagination.total, page.pagination.has_more, len(page.logs or [])) == (5, True, 3)
    assert {"page", "limit", "dateFrom", "dateTo"} == set(api.asked[0].query)
    assert set(PLATFORMS["atoms"].listing(NOW)["params"]) | {"page"} == set(api.asked[0].query)
    detail = client.atoms.calls.get(id=api.calls[0]["callId"]).data
    assert detail is not None
    assert [turn.content for turn in detail.transcript or []] == ["Wo ist mein Paket? 📦"]


def test_a_recovered_body_of_atoms_is_one_of_its_webhooks() -> None:
    call = DIALECTS["atoms"].call(1, NOW, 60)
    end, analytics = PLATFORMS["atoms"].bodies(call)
    envelope = {"id": "1", "url": "https://hooks.example.com", "description": ""}
    # the facts that a webhook must have and the API does not know
    end["metadata"]["callData"]["answerTime"] = call["createdAt"]
    more = {"reasoning": "", "dispositionMetricPrompt": "", "dispositionMetricType": "INTEGER"}
    told = analytics["metadata"]["analytics"]
    told = {**told, "dispositionMetrics": [{**metric, **more} for metric in told["dispositionMetrics"]]}
    analytics["metadata"] = {**analytics["metadata"], "analytics": told}
    said = WebhookEventPostConversation.model_validate({**envelope, **end})
    assert said.metadata.call_data.call_duration == 60
    assert said.metadata.transcript[0].content == "Wo ist mein Paket? 📦"
    WebhookEventAnalyticsCompleted.model_validate({**envelope, **analytics})
    assert end["recovered"]["call"] == call
