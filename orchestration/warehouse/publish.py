"""Publishing the marts: whether it is time, whether anything changed, and what the warehouse has to know for it.

How a version is published belongs to each warehouse; which tables exist and what they mean to
`dbt_project/models/marts/`.
"""

import orjson

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import built, dbt, open_warehouse
from orchestration.warehouse.interface import MARTS, BuiltProject, PublishReport

COPIED_BY = "copied_by"
"""Name of the declaration in a mart's `meta` of how its rows change."""


def wait_seconds(settings: OrchestrationSettings) -> float:
    """How long the next copy has to wait so that readers are not handed one too often; 0: none is too soon.

    Never longer than the setting, whatever happened to the clock; and not at all after a restart of the machine.
    """
    age = open_warehouse(settings).published.seconds_ago()
    return 0.0 if age is None else max(0.0, settings.publish_every_seconds - age)


def is_behind(settings: OrchestrationSettings) -> bool:
    """Whether the warehouse holds another version than was published. Opens neither, so that a sensor may ask."""
    warehouse = open_warehouse(settings)
    current = warehouse.version()
    return current is not None and current != warehouse.published.warehouse_version()


def publish(settings: OrchestrationSettings) -> PublishReport:
    """Show readers every mart, with its comments, as it is now, in one step. Raises WarehouseBusy."""
    built_through = built.read(settings)
    project = BuiltProject(
        dbt.project_version(),
        built_through.landing if built_through is not None else None,
        lambda: _declared(settings),
    )
    return open_warehouse(settings).publish(project)


def _declared(settings: OrchestrationSettings) -> dict[str, str]:
    """What marts declare in dbt of how their rows change, by mart."""
    nodes = orjson.loads(dbt.ensure_manifest(settings).read_bytes())["nodes"].values()
    return {
        node["name"]: node["config"]["meta"][COPIED_BY]
        for node in nodes
        if node["resource_type"] == "model"
        and node["schema"] == MARTS
        and COPIED_BY in node["config"]["meta"]
    }
