"""Landing bytes to Arrow: the columns of `raw.call_events`, and the lines that are none.

Pure functions of bytes; where the bytes come from and where the rows go belongs to `events.py`.
"""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.load.repeated_names import without_repeated_names
from orchestration.warehouse import Connection

FIELDS = (
    "event_id",
    "source",
    "event_type",
    "call_id",
    "occurred_at",
    "received_at",
    "customer_phone",
    "direction",
    "payload",
)
# the payload as JSON: as VARCHAR a body that is only a text would lose its quotes
_SHAPE = "{" + ",".join(f'"{name}":"{"JSON" if name == "payload" else "VARCHAR"}"' for name in FIELDS) + "}"
_PIECES = 4  # DuckDB reads each piece of an Arrow column in a thread of its own

# one parse a line; a line that is no JSON becomes nulls and is told apart by `reason`
_PARSE = """
with parsed as (
    select
        position,
        line,
        json_valid(line) as is_json,
        json_transform(case when is_json then line end, $shape) as event
    from lines
)
select
    -- an id that holds the separator brings the length of the call id in: no two events have one key
    md5(
        concat_ws(
            chr(31),
            event.source,
            case
                when contains(concat(event.call_id, event.event_id), chr(31))
                then coalesce(length(event.call_id), 0)
            end,
            coalesce(event.call_id, ''),
            event.event_id
        )
    ) as event_key,
    event.event_id as event_id,
    event.source as source,
    event.event_type as event_type,
    event.call_id as call_id,
    try_cast(event.occurred_at as timestamp) as occurred_at,
    try_cast(event.received_at as timestamp) as received_at,
    event.customer_phone as customer_phone,
    event.direction as direction,
    coalesce(
        event.payload::varchar,
        case when json_type(case when is_json then line end, '$.payload') = 'NULL' then 'null' end
    ) as payload,
    case
        when not is_json then 'not JSON'
        when event.event_id is null then 'no event_id'
        when event.source is null then 'no source'
        when try_cast(event.received_at as timestamp) is null then 'no received_at'
        when payload is null then 'no payload'
    end as reason,
    position,
    case when reason is not null then line end as line
from parsed
"""
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


@dataclass(frozen=True)
class Parsed:
    """Events of a chunk in order of arrival, and its rejected lines with their positions and reasons."""

    events: pa.Table
    rejected: pa.Table


def parse(connection: Connection, data: bytes, start: int) -> Parsed:
    """Events and rejects of whole lines that begin at byte `start` of their segment.

    Of a name that stands twice in an object of a payload only the last value stays.

    A line whose only fault is an unpaired surrogate escape (a platform cut an emoji in two) is repaired to
    U+FFFD; the landing store keeps it as it was sent.
    """
    table = _query(connection, _lines(data, start))
    if pc.all(pc.is_null(table["reason"])).as_py() is not False:
        return Parsed(_events(table), _rejected(table.slice(0, 0)))
    bad = table.filter(pc.equal(table["reason"], "not JSON"))
    fixed = [(position, repaired(line)) for position, line in zip(*_pair(bad), strict=True)]
    again = _query(
        connection,
        pa.table(
            {
                "position": pa.array([position for position, _ in fixed], pa.int64()),
                "line": pa.array([line for _, line in fixed], pa.string()),
            }
        ),
    )
    valid = table.filter(pc.fill_null(pc.not_equal(table["reason"], "not JSON"), True))
    whole = pa.concat_tables([valid, again]).sort_by("position")
    is_event = pc.is_null(whole["reason"])
    return Parsed(_events(whole.filter(is_event)), _rejected(whole.filter(pc.invert(is_event))))


def repaired(line: str) -> str:
    """The JSON text with every unpaired surrogate escape turned into the replacement character."""
    return _ESCAPE.sub(lambda match: r"\ufffd" if match.group(1) else match.group(0), line)


def _query(connection: Connection, lines: pa.Table) -> pa.Table:
    with connection.with_table("lines", lines):
        return connection.arrow(_PARSE, {"shape": _SHAPE})


def _lines(data: bytes, start: int) -> pa.Table:
    """One row a line without copying the bytes; blank lines stay, as rejects."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10) + 1
    offsets = np.concatenate([np.zeros(1, np.int64), ends])
    column: pa.Array = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:  # bytes that are no UTF-8: a damaged disk, or a foreign writer
        column = pa.array(
            [line.decode("utf-8", "backslashreplace") for line in data.split(b"\n")[:-1]], pa.large_string()
        )
    positions = pa.array(offsets[:-1] + start, pa.int64())
    step = max(1, -(-len(ends) // _PIECES))
    pieces = range(0, len(ends), step)
    return pa.table(
        {
            "position": pa.chunked_array([positions.slice(i, step) for i in pieces], pa.int64()),
            "line": pa.chunked_array([column.slice(i, step) for i in pieces], pa.large_string()),
        }
    )


def _pair(table: pa.Table) -> tuple[list[int], list[str]]:
    return table["position"].to_pylist(), table["line"].to_pylist()


def _events(table: pa.Table) -> pa.Table:
    events = table.drop_columns(["reason", "position", "line"])
    payloads = events["payload"]
    changed = [
        None if payload is None else without_repeated_names(payload)
        for payload in payloads.cast(pa.large_binary()).to_pylist()
    ]
    if not any(changed):
        return events
    anew = pa.array(changed, pa.large_binary()).cast(pa.large_string()).cast(payloads.type)
    return events.set_column(
        events.column_names.index("payload"), "payload", pc.coalesce(pa.chunked_array([anew]), payloads)
    )


def _rejected(table: pa.Table) -> pa.Table:
    return table.select(["position", "reason", "line"])
