"""Two builds of the same events told apart, in SQL: nothing but sums and a few examples comes into this process.

What the builds are belongs to `scratch`, how it looks to the command line.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from orchestration.tools.whatif.scratch import CALLS, CONFIGURED, PROPOSED

NEW, GONE, CHANGED = "new", "no longer", "changed"
"""Only as proposed; only as configured; in both, and not the same."""
_MOST_TRANSITIONS = 6
_LONGEST_VALUE = 500
_ALWAYS_DIFFER = {"built_at"}
_STEPS = {"call_order", "dates", "judged_through"}
_RESTATED = {
    "is_inbound", "is_outbound", "is_over", "is_attempted", "is_connected", "is_answered", "is_abandoned",
    "is_unreached", "is_failed", "is_handled", "handle_seconds", "is_unresolved", "is_resolution_known", "is_rated",
    *(f"is_rated_{score}" for score in range(1, 6)), "is_satisfied", "is_positive", "is_neutral", "is_negative",
    "is_contact", "is_first_contact",
}  # fmt: skip
"""Columns that repeat another compared column for metrics: `is_answered` says what `answer_status` says."""
_TABLE = """
create or replace table differences (
    model varchar, key varchar, what varchar, channel varchar, kind varchar, variety varchar, due_at timestamp,
    fields struct(field varchar, "before" varchar, "after" varchar)[]
)
"""
_FIELDS = """
with told as (
    select channel, kind, unnest(fields, recursive := true)
    from differences where (model = $calls) = $of_calls
),
counted as (select channel, kind, field, "before", "after", count(*) as times from told group by all)
select channel, kind, field, sum(times), count(*) <= $most,
    list({'before': "before", 'after': "after", 'times': times} order by times desc, "before", "after")[:$most]
from counted group by channel, kind, field order by 4 desc, channel, kind, field
"""
_GROUPS = """
select channel, kind, variety, what, count(*), count(*) filter (where what = 'new' and due_at >= oldest)
from differences left join oldest using (channel)
where model <> $calls group by channel, kind, variety, what order by channel, kind, variety, what
"""
_EXAMPLES = """
with moments as (
    select source || ':' || call_id as key, min(received_at) as received_at from raw.call_events group by all
)
select differences.key, what, channel, kind, variety, fields
from differences left join moments on differences.key = moments.key
where (model = $calls) = $of_calls
order by coalesce(received_at, due_at), differences.key limit $limit
"""


@dataclass(frozen=True)
class Transition:
    """How often a field went from one value to another; None is unknown."""

    before: str | None
    after: str | None
    times: int


@dataclass(frozen=True)
class Field:
    """In how many calls, or actions of a kind, a field differs; `transitions` only where they are few."""

    channel: str | None
    kind: str | None
    field: str
    times: int
    transitions: list[Transition]


@dataclass(frozen=True)
class Group:
    """Actions of a kind that differ in the same way; `variety` is the template of a mail, or where a message goes.

    `young` counts the new ones that are within their channel's age limit.
    """

    channel: str
    kind: str
    variety: str | None
    what: str
    times: int
    young: int


@dataclass(frozen=True)
class Example:
    """One call or action, with each field that differs: before and after."""

    key: str
    what: str
    channel: str | None
    kind: str | None
    variety: str | None
    fields: dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True)
class Differences:
    """What differs: calls by how, fields of calls, actions in groups, fields of actions, and examples of either.

    `due` is how many actions are due in all, `costs` what the calls cost by currency; as configured and as proposed.
    """

    calls: dict[str, int]
    call_fields: list[Field]
    actions: list[Group]
    action_fields: list[Field]
    due: tuple[int, int]
    costs: dict[str, tuple[float, float]]
    call_examples: list[Example]
    action_examples: list[Example]


def compare(
    connection: duckdb.DuckDBPyConnection, integrations: IntegrationSettings, now: datetime, limit: int
) -> Differences:
    """Compare the two sides that `keep_side` left; leaves a table `differences` behind."""
    connection.execute(_TABLE)
    models = _models(connection)
    for model, columns in models.items():
        connection.execute(_inserted(model, columns))
    _set_oldest(connection, integrations, now)
    calls = connection.execute(
        "select what, count(*) from differences where model = ? group by what order by what", [CALLS]
    ).fetchall()
    due = tuple(_rows(connection, side, models) for side in (CONFIGURED, PROPOSED))
    return Differences(
        dict(calls),
        _fields(connection, of_calls=True),
        [Group(*row) for row in connection.execute(_GROUPS, {"calls": CALLS}).fetchall()],
        _fields(connection, of_calls=False),
        (due[0], due[1]),
        _costs(connection) if "cost" in models[CALLS] else {},
        _examples(connection, True, limit),
        _examples(connection, False, limit),
    )


def _models(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """What both sides have, with the columns that both have."""
    rows = connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name in ($1, $2) "
        "group by all having count(*) = 2 order by table_name, min(column_index)",
        [CONFIGURED, PROPOSED],
    )
    models: dict[str, list[str]] = {}
    for model, column in rows.fetchall():
        models.setdefault(model, []).append(column)
    return models


def _inserted(model: str, columns: list[str]) -> str:
    """The SQL that writes down how the two sides of a model differ."""
    key = "call_key" if model == CALLS else "action_key"
    compared = [column for column in columns if column != key and not _is_left_out(model, column)]
    differs = [f'configured."{name}" is distinct from proposed."{name}"' for name in compared]
    fields = ", ".join(
        f"{{'field': '{name}', 'before': {_text('configured', name)}, 'after': {_text('proposed', name)}, "
        f"'differs': {difference}}}"
        for name, difference in zip(compared, differs, strict=True)
    )
    variety = next((name for name in ("template", "slack_channel") if name in columns), None)
    of_action = "null, null, null, null"
    if model != CALLS:
        of_action = ", ".join(
            [*(_either(name) for name in ("channel", "kind")), _moved(variety), _either("due_at")]
        )
    return f"""
        insert into differences
        select '{model}', {_either(key)},
            case when configured."{key}" is null then '{NEW}' when proposed."{key}" is null then '{GONE}'
                else '{CHANGED}' end,
            {of_action},
            case when configured."{key}" is null or proposed."{key}" is null then []
                else list_transform(
                    list_filter([{fields}], lambda one: one.differs),
                    lambda one: {{'field': one.field, 'before': one.before, 'after': one.after}}
                ) end
        from {CONFIGURED}."{model}" as configured
        full outer join {PROPOSED}."{model}" as proposed on configured."{key}" = proposed."{key}"
        where configured."{key}" is null or proposed."{key}" is null or {" or ".join(differs)}
    """  # noqa: S608


def _is_left_out(model: str, column: str) -> bool:
    """What differs with every build, and steps on the way to a column that is compared itself."""
    is_step = (
        column.startswith(("reported_", "mapped_"))
        or column.endswith("_text")
        or column in _STEPS | _RESTATED
    )
    return column in _ALWAYS_DIFFER or (model == CALLS and is_step)


def _text(side: str, column: str) -> str:
    return f'left({side}."{column}"::varchar, {_LONGEST_VALUE})'


def _either(column: str) -> str:
    return f'coalesce(proposed."{column}", configured."{column}")'


def _moved(column: str | None) -> str:
    """The column's value, or both with an arrow where it differs."""
    if column is None:
        return "null"
    return (
        f'case when configured."{column}" <> proposed."{column}" '
        f'then configured."{column}" || \' → \' || proposed."{column}" else {_either(column)} end'
    )


def _set_oldest(
    connection: duckdb.DuckDBPyConnection, integrations: IntegrationSettings, now: datetime
) -> None:
    """Since when what became due is within the age limit, by channel."""
    connection.execute("create or replace temp table oldest (channel varchar, oldest timestamp)")
    for channel in CHANNELS:
        ages = integrations.max_age_of(channel)
        oldest = datetime.min if integrations.ignore_action_age else (now - ages).replace(tzinfo=None)  # noqa: DTZ901
        connection.execute("insert into oldest values (?, ?)", [channel, oldest])


def _rows(connection: duckdb.DuckDBPyConnection, side: str, models: dict[str, list[str]]) -> int:
    counts = [
        connection.execute(f'select count(*) from {side}."{model}"').fetchall()[0][0]  # noqa: S608
        for model in models
        if model != CALLS
    ]
    return sum(counts)


def _costs(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[float, float]]:
    rows = connection.execute(
        "select currency, sum(cost) filter (where side = 1), sum(cost) filter (where side = 2) from ("  # noqa: S608
        f"select currency, cost, 1 as side from {CONFIGURED}.{CALLS} union all "
        f"select currency, cost, 2 as side from {PROPOSED}.{CALLS}) where currency is not null group by 1 order by 1"
    )
    return {currency: (before or 0.0, after or 0.0) for currency, before, after in rows.fetchall()}


def _fields(connection: duckdb.DuckDBPyConnection, *, of_calls: bool) -> list[Field]:
    values = {"calls": CALLS, "of_calls": of_calls, "most": _MOST_TRANSITIONS}
    return [
        Field(channel, kind, field, int(times), [Transition(**one) for one in transitions if are_few])
        for channel, kind, field, times, are_few, transitions in connection.execute(
            _FIELDS, values
        ).fetchall()
    ]


def _examples(connection: duckdb.DuckDBPyConnection, of_calls: bool, limit: int) -> list[Example]:
    values = {"calls": CALLS, "of_calls": of_calls, "limit": limit}
    found = []
    for key, what, channel, kind, variety, fields in connection.execute(_EXAMPLES, values).fetchall():
        told = {one["field"]: (one["before"], one["after"]) for one in fields}
        found.append(Example(key, what, channel, kind, variety, told))
    return found
