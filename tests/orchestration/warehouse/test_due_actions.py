"""From the `sync_*` tables to the outbox: what a route asks for is brought along, and changes no content."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.warehouse import due_actions

MOMENT = "2026-11-02 08:00"
ROUTES = """
[[route]]
channel = "ticket"
when = { agent = "a7", vip = true, queue = ["billing"], issue_type = "payment", priority = "high" }
to = ["webhook"]
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OrchestrationSettings:
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path))
    monkeypatch.setenv("AFTERCALL_IGNORE_ACTION_AGE", "1")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("create schema sync; create schema marts")
        warehouse.execute(
            "create table sync.sync_tickets as select * from (values "
            "('ticket:atoms:1', 'ticket', 'ticket', 'atoms', '1', ?::timestamp, null, ?::timestamp, 'One'), "
            "('ticket:atoms:2', 'ticket', 'ticket', 'atoms', '2', ?::timestamp, null, ?::timestamp, 'Two')) as due "
            "(action_key, channel, kind, source, call_id, due_at, skip_reason, built_at, title)",
            [MOMENT] * 4,
        )
        warehouse.execute(
            "create table marts.calls as select 'atoms' as source, unnest(['1', '2']) as call_id, 'a7' as agent_id"
        )
        warehouse.execute(
            "create table marts.call_outcomes as select source, call_id, call_id = '1' as is_vip, 'billing' as queue, "
            "'payment' as issue_type, 'high' as priority from marts.calls"
        )
    return OrchestrationSettings()


def filled(settings: OrchestrationSettings) -> dict[str, dict[str, Any]]:
    integrations = IntegrationSettings()
    with open_outbox(integrations.outbox_url) as outbox:
        due_actions.fill(outbox, "ticket", settings, integrations, everything=True)
        return {action.action_key: vars(action) for action in outbox.actions()}


def test_routes_by_agent_and_vip(settings: OrchestrationSettings) -> None:
    before = filled(settings)
    assert {row["destination"] for row in before.values()} == {"preview"}
    (settings.home / "destinations.toml").write_text(ROUTES)
    (settings.home / "outbox.sqlite").unlink()
    after = filled(settings)
    assert {key: row["destination"] for key, row in after.items()} == {
        "ticket:atoms:1": "webhook", "ticket:atoms:2": "preview",
    }  # fmt: skip
    assert after["ticket:atoms:1"]["facts"] == {
        "agent": "a7", "vip": True, "queue": "billing", "issue_type": "payment", "priority": "high",
    }  # fmt: skip
    for key, row in after.items():
        assert row["payload"] == {"title": before[key]["payload"]["title"]}
        assert row["payload_hash"] == before[key]["payload_hash"]
