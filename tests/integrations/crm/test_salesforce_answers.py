"""What Salesforce's answers mean: sessions, failures, what a check finds; and that its own library takes the fake's."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession, SalesforceResourceNotFound

from integrations.crm.salesforce import SalesforceCrm
from integrations.destinations import SupportsCheck
from integrations.errors import DestinationUnavailable, RateLimited, Rejected, TransientError, Unreachable
from tests.integrations import servers
from tests.integrations.crm.salesforce_fake import TOKEN, FakeSalesforce
from tests.integrations.crm.suite import put
from tests.integrations.examples import contact, delivery, task
from tests.integrations.servers import System, certified

PHONE = "+12025550143"
Open = Callable[..., SalesforceCrm]


def test_salesforces_own_library_understands_the_fake() -> None:
    context, authority = certified("127.0.0.1")
    with (
        servers.running(context) as system,
        authority.cert_pem.tempfile() as trusted,
        requests.Session() as session,
    ):
        org = system.always = FakeSalesforce()
        session.trust_env, session.verify = False, trusted
        api = Salesforce(session_id=TOKEN, instance_url=system.url, version="62.0", session=session)
        record_id = api.Contact.create({"LastName": "O'Hara", "Phone": PHONE})["id"]  # type: ignore[operator]
        assert (
            api.query("SELECT Id FROM Contact WHERE LastName = 'O\\'Hara'")["records"][0]["Id"] == record_id
        )
        org.indexed.add(record_id)
        search_result = api.search(
            'FIND {"\\(202\\) 555\\-0143"} IN PHONE FIELDS RETURNING Contact(Id, Phone) LIMIT 200'
        )
        assert search_result["searchRecords"][0]["Id"] == record_id
        assert api.Contact.update(record_id, {"FirstName": "Scarlett"}) == 204  # type: ignore[operator]
        org.delete(record_id)
        with pytest.raises(SalesforceResourceNotFound):
            api.restful(f"sobjects/Contact/{record_id}", {"fields": "Id"})
        org.token = "another"
        with pytest.raises(SalesforceExpiredSession):
            api.query("SELECT Id FROM Contact")


def test_a_session_that_is_over_is_opened_anew(salesforce: Open, org: FakeSalesforce) -> None:
    crm = salesforce()
    put(crm, contact())
    org.token = "00D-another"
    put(crm, contact(email="new@example.com"))
    assert len(org.all("Contact")) == 1


def test_each_failure_has_its_kind(salesforce: Open, org: FakeSalesforce, system: System) -> None:
    with pytest.raises(DestinationUnavailable, match="invalid_client: invalid client credentials"):
        put(salesforce(salesforce_client_secret="wrong"), contact())
    crm = salesforce()
    locked = servers.says(
        400, [{"errorCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain exclusive access"}]
    )
    system.script.append(locked)
    with pytest.raises(TransientError, match="exclusive access"):
        put(crm, contact())
    for status, code, kind in (
        (403, "REQUEST_LIMIT_EXCEEDED", RateLimited),
        (400, "CONCURRENT_REQUEST_LIMIT_EXCEEDED", RateLimited),
        (503, "SERVER_UNAVAILABLE", Unreachable),
        (400, "SERVER_UNAVAILABLE", Unreachable),
        (500, "UNKNOWN_EXCEPTION", Unreachable),
        (400, "STORAGE_LIMIT_EXCEEDED", DestinationUnavailable),
        (403, "API_CURRENTLY_DISABLED", DestinationUnavailable),
    ):
        system.script.append(servers.says(status, [{"errorCode": code, "message": "see there"}]))
        with pytest.raises(kind, match=code) as error:
            put(crm, contact())
        assert type(error.value) is kind
    # What a stranger said is no code.
    quoted = [
        {"errorCode": "STRING_TOO_LONG", "message": "Name: 500: REQUEST_LIMIT_EXCEEDED: x", "fields": []}
    ]
    always = system.always
    system.always = lambda request: always(request) if "oauth" in request.path else servers.says(400, quoted)
    with pytest.raises(Rejected, match="STRING_TOO_LONG"):
        crm.send(delivery(task()), None)
    system.always = always
    system.script.append(servers.says(300, ["/services/data/v62.0/sobjects/Contact/1"]))
    with pytest.raises(Rejected):
        put(crm, contact())
    org.is_over_its_limit = True
    with pytest.raises(RateLimited, match="TotalRequests Limit exceeded"):
        put(crm, contact())


def test_a_check_names_what_is_missing(salesforce: Open, org: FakeSalesforce) -> None:
    crm = salesforce(crm_fields="call_count=Nothing__c")
    assert isinstance(crm, SupportsCheck)
    org.read_only |= {"Task.CallObject"}
    wrong = {one.name: one.message for one in crm.check() if not one.is_fine}
    assert set(wrong) == {"may write Contacts", "may write Tasks"}
    assert "Nothing__c" in wrong["may write Contacts"]
    assert "CallObject" in wrong["may write Tasks"]
    assert all(
        one.is_fine for one in salesforce(salesforce_new="Lead", salesforce_key_field="Subject").check()
    )
    assert not any(one.is_fine for one in salesforce(salesforce_client_secret="wrong").check())


@pytest.mark.parametrize(
    "changes",
    [
        {"salesforce_client_id": ""}, {"salesforce_client_secret": ""}, {"salesforce_url": "acme"},
        {"salesforce_new": "Account"}, {"salesforce_key_field": "x' OR 'y"}, {"crm_fields": "email=x"},
        {"phone_region": "Germany"},
    ],
)  # fmt: skip
def test_missing_settings_stop_the_channel(salesforce: Open, changes: dict[str, Any]) -> None:
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_"):
        salesforce(**changes)
