"""Work that DuckDB does within a memory limit, and again with more memory when it needs that."""

import logging
import os
import re
from collections.abc import Callable
from typing import TypeVar

from orchestration.config import OrchestrationSettings

LOG = logging.getLogger("aftercall.warehouse")
T = TypeVar("T")
_LARGER_LIMITS = ("2GB", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') * 7 // 10 >> 20}MiB")
LARGEST_LIMIT = _LARGER_LIMITS[-1]
"""The memory limit that `with_enough_memory` tries last."""
_OUT_OF_MEMORY = re.compile(r"Out of Memory|failed to (pin|allocate)")


def with_enough_memory(
    settings: OrchestrationSettings,
    work: Callable[[OrchestrationSettings], T],
    limit: str = "warehouse_memory_limit",
) -> T:
    """Do `work` within the setting named `limit`, and with more memory when DuckDB needs it.

    DuckDB works on 2,048 rows at a time, whatever their size: bodies of some kilobytes fit the limit however many
    there are, a few hundred of several megabytes do not. `work` must be repeatable.
    """
    *limits, last = dict.fromkeys((getattr(settings, limit), *_LARGER_LIMITS))
    for memory in limits:
        try:
            return work(settings.model_copy(update={limit: memory}))
        except Exception as error:  # dlt and dbt wrap what DuckDB raised
            if not _ran_out_of_memory(error):
                raise
            LOG.warning("DuckDB needs more than %s of memory; trying with more", memory)
    return work(settings.model_copy(update={limit: last}))


def ran_out_of_memory(failure: str) -> bool:
    """Whether the words of a failure say that DuckDB needed more memory than its limit."""
    return _OUT_OF_MEMORY.search(failure) is not None


def _ran_out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if ran_out_of_memory(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
