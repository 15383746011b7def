"""`aftercall landing`: the segments of the landing store, one call's raw events, and housekeeping by hand."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from orchestration.cli.output import Listing, is_terminal, say_json
from orchestration.cli.times import MOMENT
from orchestration.config import OrchestrationSettings
from receiver.landing import LandingStore, Segment, SegmentDamaged, open_landing

_BAR = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())


@dataclass(frozen=True)
class _Row:
    """A segment as `--json` shows it; sizes and positions in bytes of the segment as it landed."""

    segment: str
    lines: int | None
    size: int
    stored_bytes: int
    loaded: int
    state: str
    written_at: str


@click.group("landing", invoke_without_command=True)
@click.option(
    "--since",
    type=MOMENT,
    help="Segments that may hold events received from this time on (ISO 8601; UTC if no zone).",
)
@click.option("--until", type=MOMENT, help="Segments that may hold events received before this time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@click.pass_context
def landing_command(
    context: click.Context, since: datetime | None, until: datetime | None, as_json: bool
) -> None:
    """List the landing store's segments with lines, sizes and how much of each is loaded."""
    if context.invoked_subcommand is not None:
        return
    settings = OrchestrationSettings()
    store = open_landing(settings.landing)
    segments = _segments(store, since, until)
    rows = list(_rows(settings, store, segments))
    if as_json:
        say_json([asdict(row) for row in rows])
    elif rows:
        _show(rows)
    else:
        click.echo(f"no segments in {settings.landing}")


@landing_command.command("cat")
@click.option("--call", "call_id", required=True, metavar="ID", help="The call whose events to print.")
@click.option("--source", help="Only events of this source.")
@click.option(
    "--since",
    type=MOMENT,
    help="Read only segments that may hold events received from this time on (ISO 8601; UTC if no zone).",
)
@click.option(
    "--until", type=MOMENT, help="Read only segments that may hold events received before this time."
)
def cat_command(call_id: str, source: str | None, since: datetime | None, until: datetime | None) -> None:
    """Print a call's landing lines as they are, one JSON object per line, and nothing else.

    Reads the whole store unless --since or --until limit it. Exit code 1 when there is no line.
    """
    from orchestration.load.landing_search import lines_of

    settings = OrchestrationSettings()
    store = open_landing(settings.landing)
    segments = _segments(store, since, until)
    printed = 0
    try:
        with Progress(*_BAR, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading", total=sum(segment.size for segment in segments))
            for landed in lines_of(store, call_id, segments, source, lambda size: bar.advance(task, size)):
                sys.stdout.buffer.write(landed.line)
                printed += 1
        sys.stdout.buffer.flush()
    except SegmentDamaged as error:
        raise click.ClickException(str(error)) from error
    if not printed:
        where = "" if since is None and until is None else " for these times"
        raise click.ClickException(f"no event of call {call_id!r} in {settings.landing}{where}")


@landing_command.command("tidy")
def tidy_command() -> None:
    """Compress closed and loaded segments; remove those older than AFTERCALL_LANDING_RETENTION_DAYS.

    Dagster's schedule does the same every hour.
    """
    from orchestration.tools import retention
    from orchestration.warehouse import WarehouseBusy

    settings = OrchestrationSettings()
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("tidying", total=None)
            report = retention.tidy(
                settings, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    except WarehouseBusy as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"compressed {report.archived} segments ({decimal(report.bytes_before)} to "
        f"{decimal(report.bytes_after)}), removed {report.removed} ({decimal(report.removed_bytes)}); "
        f"{report.segments} segments take {decimal(report.stored_bytes)}"
    )
    for reason, count in sorted(report.untouched.items()):
        click.echo(f"left alone: {count}, {reason}")


def _segments(store: LandingStore, since: datetime | None, until: datetime | None) -> list[Segment]:
    from orchestration.load.window import EARLIEST, LATEST, Window

    return list(Window(since or EARLIEST, until or LATEST).segments(store))


def _rows(settings: OrchestrationSettings, store: LandingStore, segments: list[Segment]) -> Iterator[_Row]:
    from orchestration.load import cursor, pipeline

    state = pipeline.positions(settings)
    with Progress(*_BAR, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("counting lines", total=sum(segment.size for segment in segments))
        for segment in segments:
            stored = "compressed" if segment.is_archived else "plain"
            try:
                lines = _count_lines(store, segment)
                loaded = cursor.loaded_bytes(segment, state)
                is_loaded = cursor.is_loaded(store, segment, state)
            except FileNotFoundError:  # removed since it was listed
                continue
            except SegmentDamaged:
                lines, loaded, is_loaded, stored = None, 0, False, "damaged"
            bar.advance(task, segment.size)
            yield _Row(
                segment.path,
                lines,
                segment.size,
                segment.stored_bytes,
                loaded,
                f"{stored}, {'loaded' if is_loaded else 'not loaded' if not loaded else 'partly loaded'}",
                segment.written_at.isoformat(),
            )


def _count_lines(store: LandingStore, segment: Segment) -> int:
    count = offset = 0
    while (chunk := store.read(segment.path, offset)).data:
        count += chunk.data.count(b"\n")
        offset = chunk.next_offset
    return count


def _show(rows: list[_Row]) -> None:
    listing = Listing("segment", "lines", "bytes", "on disk", "loaded to", "state")
    for row in rows:
        cells = (row.lines, row.size, row.stored_bytes, row.loaded)
        listing.add(row.segment, *("-" if cell is None else str(cell) for cell in cells), row.state)
    if len(rows) > 1 and is_terminal():
        sums = (
            sum(row.lines or 0 for row in rows),
            sum(row.size for row in rows),
            sum(row.stored_bytes for row in rows),
            sum(row.loaded for row in rows),
        )
        listing.add(Text(f"{len(rows)} segments", "bold"), *(Text(str(cell), "bold") for cell in sums), "")
    listing.show()
