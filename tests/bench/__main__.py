"""`python -m tests.bench`: every bench in turn, kept in `.bench/results.json`, shown as one table."""

from collections.abc import Callable

from tests.bench import (
    bench_board,
    bench_growth,
    bench_latency,
    bench_load,
    bench_page,
    bench_receiver,
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
)


def main() -> None:
    """A bench that fails ends the run; what was measured before it stays recorded."""
    for bench in BENCHES:
        record(bench())
    show(recorded())


if __name__ == "__main__":
    main()
