"""Tryton under every fault."""

from typing import Any

import pytest

from integrations.outbox import DueAction
from tests.integrations.crm.suite import UnderCrm
from tests.integrations.crm.tryton_server import Office
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UnderFault,
    UpdateFaults,
)

MARKS = {"note": ("ir.note", "message"), "task": ("project.work", "comment")}


class UnderTryton(UnderCrm):
    def __init__(self, office: Office) -> None:
        self.office = office
        self.upstream = ("127.0.0.1", office.port)

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "crm": "tryton", "tryton_url": f"{url}/crm", "tryton_key": self.office.key, "http_read_seconds": 1.0,
        }  # fmt: skip

    def wrong_credentials(self) -> dict[str, Any]:
        return {"tryton_key": "wrong"}

    def count(self, action: DueAction) -> int:
        return len(self._of(action))

    def stored_text(self, action: DueAction) -> str:
        model, field = MARKS[action.kind]
        return str(self.office.marked(model, field, action.action_key))

    def delete(self, action: DueAction) -> None:
        for path in self._of(action):
            self.office.ask("DELETE", path)

    def _of(self, action: DueAction) -> list[str]:
        if action.kind == "contact":
            return [f"party.party/{one['id']}" for one in self.office.parties(action.payload["phone"])]
        model, field = MARKS[action.kind]
        return [f"{model}/{one['id']}" for one in self.office.marked(model, field, action.action_key)]


class TestFaults(FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls, office: Office) -> UnderFault:
        return UnderTryton(office)
