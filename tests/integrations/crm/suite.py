"""What the tests of every CRM share: opening one, writing as the outbox does it, and the actions of the fault suite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from integrations.config import IntegrationSettings
from integrations.crm.records import Crm
from integrations.destinations import open_destination
from integrations.outbox import DueAction
from tests.integrations.examples import contact, delivery, note, task
from tests.integrations.faults.suite import UnderFault

C = TypeVar("C", bound=Crm)


@contextmanager
def opening(kind: type[C], settings: Callable[..., IntegrationSettings]) -> Iterator[Callable[..., C]]:
    """Yield what opens a CRM with changed settings; all of them are closed at the end."""
    opened: list[C] = []

    def make(**changes: object) -> C:
        crm = open_destination("crm", settings(**changes))
        assert isinstance(crm, kind)
        opened.append(crm)
        return crm

    yield make
    for one in opened:
        one.close()


def put(crm: Crm, action: DueAction) -> str:
    """As the outbox does it: look, then send."""
    return crm.send(delivery(action), crm.find(delivery(action)))


class UnderCrm(UnderFault):
    """A CRM behind the proxy of the fault suite."""

    channel = "crm"

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        phone, call, body = f"+1646{2_000_000 + int(case)}", f"fault{case}", f"revision {revision}"
        person = contact(phone, call_count=revision, email=f"fault{case}@example.com")
        return [person, note(call, phone, body=body), task(call, phone, body=body)]
