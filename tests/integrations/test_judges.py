"""Each vendor's own files judge: a request or an answer that is wrong is found out."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integrations.crm.hubspot_fake import FakeHubSpot as HubSpotCrm
from tests.integrations.email.sendgrid_fake import Account
from tests.integrations.servers import Request
from tests.integrations.ticket.fakes.hubspot import FakeHubSpot
from tests.integrations.ticket.fakes.jira import FakeJira
from tests.integrations.ticket.fakes.judge import Fake, Reply
from tests.integrations.ticket.fakes.zendesk import FakeZendesk

WRONG = "Request body validation error"


@pytest.mark.parametrize(
    ("make", "path", "asked", "reply", "complaint"),
    [
        (FakeZendesk, "/api/v2/tickets", {"ticket": {"subject": {}}}, Reply(201, {}), WRONG),
        (FakeZendesk, "/api/v2/tickets", {"ticket": {"comment": {}}}, Reply(201, {"ticket": 1}), "1 is not"),
        (FakeJira, "/rest/api/3/search/jql", {"maxResults": "all"}, Reply(200, {}), WRONG),
        (FakeJira, "/rest/api/3/search/jql", {}, Reply(200, {"issues": "x"}), "'x' is not"),
        (FakeHubSpot, "/crm/v3/objects/tickets", {"properties": "none"}, Reply(201, {}), WRONG),
        (FakeHubSpot, "/crm/v3/objects/tickets", {}, Reply(400, {"message": "x"}), "'category' is a required"),
        (HubSpotCrm, "/crm/v3/objects/notes", {"properties": "none"}, Reply(201, {}), WRONG),
        (HubSpotCrm, "/crm/v3/objects/notes", {}, Reply(400, {"message": "x"}), "'category' is a required"),
        (Account, "/v3/mail/send", {"from": 1}, Reply(202), WRONG),
        (Account, "/v3/mail/send", {}, Reply(401, {"errors": "x"}), "'x' is not"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_out(
    make: Callable[[], Fake], path: str, asked: Any, reply: Reply, complaint: str
) -> None:
    vendor = make()
    headers = {"content-type": "application/json"}
    vendor.judge(Request("POST", path, headers, json.dumps(asked).encode(), None), reply)
    assert complaint in vendor.complaints[0]
