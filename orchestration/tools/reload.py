"""Loading a window of the landing store again: what the warehouse lost comes back, what it has stays as it is.

The load is `orchestration/load/`; the pass that builds what came back is anybody's next one.
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
    """Load a window again, holding the warehouse; `rows` counts what was missing and is back.

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
