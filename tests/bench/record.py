"""What a bench says: results kept by name in `.bench/results.json`, and shown as a table.

A result carries the baseline measured in the same run, so that it means something on any machine. Measuring
does not belong here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[2] / ".bench" / "results.json"


@dataclass(frozen=True)
class Result:
    """One figure in `unit`; `ratio` is value / baseline, None where nothing was measured beside it."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    note: str = ""


def against(name: str, value: float, unit: str, baseline: float, note: str = "") -> Result:
    """A result beside its baseline in the same unit. Raises ValueError for a baseline of nothing."""
    if baseline <= 0:
        raise ValueError(f"{name}: a baseline of {baseline} {unit} compares with nothing")
    return Result(name, value, unit, baseline, value / baseline, note)


def record(results: Iterable[Result], path: Path = RESULTS) -> list[Result]:
    """Put the results in place of those of the same name, keep the others, and return them all in order."""
    kept = {result.name: result for result in recorded(path)}
    kept |= {result.name: result for result in results}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    text = json.dumps([asdict(result) for result in kept.values()], indent=1, ensure_ascii=False)
    beside.write_text(text + "\n", encoding="utf-8")
    os.replace(beside, path)  # noqa: PTH105
    return list(kept.values())


def recorded(path: Path = RESULTS) -> list[Result]:
    """What earlier runs have left, in their order; nothing when there was none."""
    if not path.exists():
        return []
    return [Result(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]


def show(results: Sequence[Result], console: Console | None = None) -> None:
    """Print the results as a table."""
    table = Table(title="aftercall bench")
    table.add_column("what")
    for heading in ("value", "baseline", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("note")
    for result in results:
        baseline = "" if result.baseline is None else f"{result.baseline:,.2f} {result.unit}"
        ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
        table.add_row(result.name, f"{result.value:,.2f} {result.unit}", baseline, ratio, result.note)
    (console or Console()).print(table)
