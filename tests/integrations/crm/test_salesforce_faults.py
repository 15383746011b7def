"""Salesforce under every fault."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.outbox import DueAction
from tests.integrations import servers
from tests.integrations.crm.salesforce_fake import FakeSalesforce, ours
from tests.integrations.crm.suite import UnderCrm
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UnderFault,
    UpdateFaults,
)
from tests.integrations.servers import System


class UnderSalesforce(UnderCrm):
    def __init__(self, system: System) -> None:
        self.upstream = system.address
        self.org = system.always = FakeSalesforce()

    def settings(self, url: str) -> dict[str, Any]:
        return ours(url) | {"crm_fields": "call_count=Calls__c"}

    def wrong_credentials(self) -> dict[str, Any]:
        return {"salesforce_client_secret": "wrong"}

    def count(self, action: DueAction) -> int:
        return len(self._of(action))

    def stored_text(self, action: DueAction) -> str:
        return str(self.org.all("Task", f"CallObject = '{action.action_key}'"))

    def delete(self, action: DueAction) -> None:
        for identity in self._of(action):
            self.org.delete(identity)

    def _of(self, action: DueAction) -> list[str]:
        if action.kind == "contact":
            rows = self.org.all("Contact", f"Phone = '{action.payload['phone']}'")
        else:
            rows = self.org.all("Task", f"CallObject = '{action.action_key}'")
        return [one["Id"] for one in rows]


class TestFaults(FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield UnderSalesforce(system)
