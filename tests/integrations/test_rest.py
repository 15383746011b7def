"""Systems whose records have addresses: what 404 and 409 mean, and which of an error's words are quoted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import Rejected, Unreachable
from integrations.rest import Conflict, Missing, RestClient
from tests.integrations import servers
from tests.integrations.servers import Answer, System, says

Make = Callable[..., RestClient]


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        yield started


@pytest.fixture
def client(system: System, tmp_path: Path) -> Iterator[Make]:
    clients = []

    def make(**named: Any) -> RestClient:
        settings = IntegrationSettings(home=tmp_path)
        clients.append(RestClient("Desk", settings, system.url, setting="AFTERCALL_DESK_URL", **named))
        return clients[-1]

    yield make
    for one in clients:
        one.close()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, Missing), (410, Missing), (409, Conflict), (422, Rejected)]
)
def test_kinds(system: System, client: Make, status: int, kind: type[Exception]) -> None:
    system.script.append(says(status, {"message": "no"}))
    with pytest.raises(kind) as error:
        client().request("GET")
    assert type(error.value) is kind


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (says(400, {"errors": ["no subject", "no\ntitle"]}), "Desk answered 400: no subject; no title"),
        (says(400, {"errors": []}), 'Desk answered 400: {"errors": []}'),
        (says(400, {"errors": 5}), 'Desk answered 400: {"errors": 5}'),
        (says(400, b"[1]"), "Desk answered 400: [1]"),
        (says(400, b'{"err'), 'Desk answered 400: {"err'),
        (servers.html(400), "Desk answered 400: Oops Down & out"),
        (says(400), "Desk answered 400"),
    ],
)
def test_its_own_words_as_far_as_it_has_any(
    system: System, client: Make, answer: Answer, expected: str
) -> None:
    system.script.append(answer)
    with pytest.raises(Rejected) as error:
        client(words_of=lambda error: "; ".join(error["errors"])).request("GET")
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("body", "is_fine"), [(b"", True), (b"{}", True), (servers.PAGE, False), (b'{"', False)]
)
def test_a_change_is_answered_by_nothing_or_an_object(
    system: System, client: Make, body: bytes, is_fine: bool
) -> None:
    system.script.append(says(200, body))
    if is_fine:
        client().change("PUT", "/1", {})
    else:
        with pytest.raises(Unreachable, match="without the JSON object"):
            client().change("PUT", "/1", {})


@pytest.mark.parametrize("content", [{}, {"rows": None}, {"rows": {"id": 1}}])
def test_what_was_promised_and_is_not_there_is_asked_for_again(client: Make, content: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="Desk answered without the list rows that it promises"):
        client().listed(content, "rows")
    with pytest.raises(Unreachable, match=r"Desk answered without the rows\.first that it promises"):
        client().part(content, "rows", "first")
