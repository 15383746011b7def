"""How long to wait before the next try: exponential backoff with full jitter and a cap."""

import random
from collections.abc import Callable
from datetime import timedelta

from integrations.config import IntegrationSettings

LONGEST_WISH = timedelta(hours=24)


def wait(
    failures: int,
    settings: IntegrationSettings,
    after: timedelta | None = None,
    uniform: Callable[[float, float], float] = random.uniform,
) -> timedelta:
    """The wait after the n-th failure in a row: a random share of min(cap, base * 2^(n-1)).

    Args:
        failures: failed tries in a row, the last one included; at least 1.
        settings: base and cap in seconds.
        after: the system's own wish; it is a floor, believed up to 24 hours.
        uniform: source of chance. Full jitter spreads the retries of an outage evenly, so that a system that
            comes back is not met by all of them at once.
    """
    # The exponent is bounded because a float is not: 2.0**1024 raises.
    ceiling = min(settings.retry_cap_seconds, settings.retry_base_seconds * 2.0 ** min(failures - 1, 64))
    floor = min(after or timedelta(0), LONGEST_WISH)
    return max(floor, timedelta(seconds=uniform(0.0, ceiling)))
