"""HubSpot's contacts, notes and tasks under every fault."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.outbox import DueAction
from tests.integrations import servers
from tests.integrations.crm.hubspot_fake import TOKEN, FakeHubSpot
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


class UnderHubSpot(UnderCrm):
    def __init__(self, system: System) -> None:
        self.upstream = system.address
        all_unique = {(objects, "aftercall_key") for objects in ("contacts", "notes", "tasks")}
        self.portal = system.always = FakeHubSpot(unique_properties=all_unique)

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "crm": "hubspot", "hubspot_token": TOKEN, "hubspot_api_url": url,
            "crm_fields": "call_count=calls",
        }  # fmt: skip

    def wrong_credentials(self) -> dict[str, Any]:
        return {"hubspot_token": "wrong"}

    def count(self, action: DueAction) -> int:
        return len(self.portal.of(f"{action.kind}s", action.action_key))

    def stored_text(self, action: DueAction) -> str:
        return str(
            [self.portal.properties_of(one) for one in self.portal.of(f"{action.kind}s", action.action_key)]
        )

    def delete(self, action: DueAction) -> None:
        for identity in self.portal.of(f"{action.kind}s", action.action_key):
            del self.portal.objects[identity]


class TestFaults(FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            under = UnderHubSpot(system)
            yield under
            assert under.portal.complaints == []
