"""Imported once by the process that `tests.commands` forks: whatever a command would import on its way.

Nothing here holds a database or a thread, because each fork would share it.
"""

import gc
from importlib import import_module

from orchestration.config import CODE_LOCATION, OrchestrationSettings
from orchestration.warehouse import dbt

for module in (
    "alembic.command",
    "dagster._core.storage.sqlite_storage",
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "dbt.task.build",
    "dlt.destinations.impl.duckdb.duck",
    "orchestration.cli.run",
    "orchestration.runtime.in_process",
    "rich.console",
):
    import_module(module)
import_module(CODE_LOCATION).defs.get_repository_def()
dbt.warm_up(OrchestrationSettings())
# a fork shares each page until it is written, and the collector writes to all that it looks at
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 50, 100)
