"""`python -m tests.bench [growth …]`: every bench, or those named, kept in `.bench/results.json`, as a table."""

import sys
from collections.abc import Callable, Sequence

from tests.bench import (
    bench_board,
    bench_growth,
    bench_latency,
    bench_load,
    bench_page,
    bench_receiver,
    bench_soak,
    bench_throughput,
)
from tests.bench.record import Result, record, recorded, show

BENCHES: tuple[Callable[[], list[Result]], ...] = (
    bench_receiver.run,
    bench_load.run,
    bench_latency.run,
    bench_board.run,
    bench_page.run,
    bench_throughput.run,
    bench_growth.run,
    bench_soak.run,
)


def main(names: Sequence[str]) -> None:
    """A bench that fails ends the run; what was measured before it stays recorded. Exits for a name that is none."""
    known = {bench.__module__.rpartition("bench_")[2]: bench for bench in BENCHES}
    if unknown := set(names) - known.keys():
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name, bench in known.items():
        if not names or name in names:
            record(bench())
    show(recorded())


if __name__ == "__main__":
    main(sys.argv[1:])
