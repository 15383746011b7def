"""Loads a window of the landing store again: events that the warehouse lost come back, the others stay.

`orchestration/load/` does the loading; the next pass, whoever starts it, builds the events that came back.
"""

from collections.abc import Callable

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.load.window import Window
from orchestration.warehouse import dbt, open_warehouse

_PART = "models"


def reload(
    settings: OrchestrationSettings, window: Window, progress: Callable[[int, int], None] | None = None
) -> pipeline.LoadReport:
    """The report of loading a window again; its `rows` counts the rows that came back.

    `progress` gets bytes read and bytes in all. The next pass builds everything anew if anything came back, also
    when this was killed half-way. Raises WarehouseBusy when another process writes for too long.
    """
    warehouse = open_warehouse(settings)
    with warehouse.writing():
        if not warehouse.exists():  # nothing is built yet, so nothing has to be built anew
            return pipeline.reload_window(settings, window, progress)
        before = dbt.request_full_refresh(settings, _PART)
        report = pipeline.reload_window(settings, window, progress)
        if not report.rows["call_events"]:
            dbt.cancel_full_refresh(settings, _PART, before)
    return report
