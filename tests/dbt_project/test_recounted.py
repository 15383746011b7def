"""Every mart that counts is what its events say, counted a second time in plain Python; built in two passes.

And the board, which counts a day so far out of these marts, says what they say.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from integrations.board.daily_metrics import PERIODS, Figures, Numbers, numbers
from orchestration.tools.board_copy import BoardCopy
from orchestration.warehouse.copy_files import PublishedFile
from tests.dbt_project import reference_marts as again
from tests.dbt_project.compare_mart import agree, figures
from tests.dbt_project.generated_calls import FIRST_DAY, bodies, calls_of
from tests.dbt_project.reference_metrics import Call, scorecard

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

RATES = [
    ("generic", date(2026, 10, 14), 0.12, "USD", 60),
    ("generic", date(2026, 10, 20), 0.105, "USD", 6),
    ("generic", date(2026, 10, 28), 0.09, "EUR", 1),
    ("atoms", date(2026, 1, 1), 5.0, "USD", 60),
]
SHOWN = (
    "call_count", "resolution_rate", "transfer_rate", "average_handle_seconds", "average_satisfaction",
    "rated_call_count", "rated_1_count", "rated_2_count", "rated_3_count", "rated_4_count", "rated_5_count",
)  # fmt: skip
"""What the board shows that the marts count, in the order of `figures_of`."""
STATUSES = ("sent", "sent", "sent", "pending", "sending", "retrying", "dead", "skipped")


@pytest.fixture(scope="module")
def landed_bodies() -> list[dict[str, Any]]:
    return bodies(6)


@pytest.fixture(scope="module")
def calls(landed_bodies: list[dict[str, Any]]) -> list[Call]:
    return calls_of(landed_bodies)


@pytest.fixture(scope="module")
def actions(calls: list[Call]) -> list[dict[str, Any]]:
    """What became of actions, as the outbox tells."""
    chance = random.Random(6)
    return [_action(number, chance.choice(calls), chance) for number in range(300)]


def _action(number: int, call: Call, chance: random.Random) -> dict[str, Any]:
    status = chance.choice(STATUSES)
    created = (call.ended or call.began) + timedelta(seconds=chance.randrange(1, 90))
    return {
        "action_key": f"note:generic:{call.outcome['call_id']}:{number}",
        "channel": chance.choice(("crm", "email")),
        "kind": chance.choice(("note", "task")),
        "source": "generic",
        "call_id": call.outcome["call_id"],
        "destination": chance.choice(("preview", "hubspot")),
        "status": status,
        "attempts": chance.randrange(6),
        "due_at": chance.choice((created, None)),
        "created_at": created + timedelta(seconds=2),
        "sent_at": created + timedelta(milliseconds=chance.randrange(90_000)) if status == "sent" else None,
    }


@pytest.fixture(scope="module")
def counted(
    built_warehouse: "Callable[[], Warehouse]",
    make_event: "type[Event]",
    landed_bodies: list[dict[str, Any]],
    actions: list[dict[str, Any]],
) -> "Warehouse":
    """All of it, half the events in each of two passes."""
    warehouse = built_warehouse()
    events = [make_event("generic", body["type"], body["data"]["call_id"], body) for body in landed_bodies]
    random.Random(6).shuffle(events)
    for half in (events[::2], events[1::2]):
        warehouse.load(half)
        warehouse.build_pass()
    insert(
        warehouse, f"raw.outbox_actions ({', '.join(actions[0])})", [tuple(row.values()) for row in actions]
    )
    insert(warehouse, "seeds.platform_rates", RATES)
    return warehouse


def insert(warehouse: "Warehouse", table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
    warehouse.execute(f"insert into {table} values {marks}", *(value for row in rows for value in row))


@pytest.mark.parametrize("period", ["daily", "weekly"])
def test_scorecards(counted: "Warehouse", calls: list[Call], period: str) -> None:
    wanted = scorecard(calls, period)
    names = list(next(iter(wanted.values())))
    assert all(any(card[name] for card in wanted.values()) for name in names), "everything happens"
    actual = figures(
        counted, f"scorecard_{period}", "period_start, dimension, dimension_value", ", ".join(names)
    )
    agree(actual, {key: card.values() for key, card in wanted.items()})
    shown = set(counted.relations("marts")[f"scorecard_{period}"]) - {"scorecard_key", "last_loaded_at"}
    assert shown - {"period_start", "dimension", "dimension_value"} == set(names), "no column is left out"


def test_calls_at_once(counted: "Warehouse", calls: list[Call]) -> None:
    columns = "peak_concurrent_calls, average_concurrent_calls"
    key = "quarter_start, dimension, dimension_value"
    agree(figures(counted, "call_concurrency", key, columns), again.concurrency(calls))


def test_volume(counted: "Warehouse", calls: list[Call]) -> None:
    key = "quarter_start, source, agent_id, direction, issue_type"
    columns = "call_count, answered_call_count, line_seconds"
    agree(figures(counted, "call_volume", key, columns), again.volume(calls))


def test_days(counted: "Warehouse", calls: list[Call]) -> None:
    """`call_metrics_daily` adds up to the agent's rows of the scorecard."""
    cards = {
        (day, value): card
        for (day, dimension, value), card in scorecard(calls).items()
        if dimension == "agent"
    }
    shown = set(counted.relations("marts")["call_metrics_daily"])
    names = sorted(shown & next(iter(cards.values())).keys())
    actual = figures(counted, "call_metrics_daily", "call_date, source || ':' || agent_id", ", ".join(names))
    agree(actual, {key: [card[name] for name in names] for key, card in cards.items()})


def test_transfer_reasons(counted: "Warehouse", calls: list[Call]) -> None:
    key = "call_date, source, agent_id, issue_type, transfer_reason"
    columns = "transfer_call_count, transferred_call_count, transfer_request_count, uncontained_call_count, "
    columns += "answered_call_count, transfer_reason_rate, transfer_reason_share"
    agree(figures(counted, "transfer_reasons", key, columns), again.transfer_reasons(calls))


def test_drop_off_points(counted: "Warehouse", calls: list[Call]) -> None:
    key = "source, agent_id, issue_type, turn_number"
    columns = "reached_call_count, conversation_count, dropped_off_call_count"
    agree(figures(counted, "drop_off_points", key, columns), again.drop_off_points(calls))


def test_conversations(counted: "Warehouse", calls: list[Call]) -> None:
    wanted = {(call.outcome["call_id"],): again.conversation(call) for call in calls}
    names = ", ".join(next(iter(wanted.values())))
    actual = figures(counted, "call_talk_metrics", "call_id", names)
    agree(actual, {key: row.values() for key, row in wanted.items()})


def test_costs(counted: "Warehouse", calls: list[Call]) -> None:
    key = "call_date, source, agent_id, currency"
    columns = "billed_call_count, billed_minutes, cost"
    agree(figures(counted, "call_costs_daily", key, columns), again.costs(calls, RATES))


def test_after_call_work(counted: "Warehouse", calls: list[Call], actions: list[dict[str, Any]]) -> None:
    ended: dict[str, datetime | None] = {call.outcome["call_id"]: call.ended for call in calls}
    wanted = again.after_call_work(actions, ended)
    actual = figures(
        counted,
        "after_call_work_daily",
        "due_date, channel, kind, destination",
        ", ".join(next(iter(wanted.values()))),
    )
    agree(actual, {key: row.values() for key, row in wanted.items()})


@pytest.fixture(scope="module")
def board(counted: "Warehouse", tmp_path_factory: pytest.TempPathFactory) -> "Board":
    path = tmp_path_factory.mktemp("published") / "marts.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"attach '{counted.path}' as warehouse (read_only)")
        for mart in ("calls", "call_outcomes", "actions"):
            connection.execute(f"create table {mart} as from warehouse.marts.{mart}")
    return Board(path)


class Board:
    """The board's numbers out of a copy that was published at a moment of its own, UTC."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on(self, day: datetime, published_at: datetime) -> Numbers:
        at = published_at.replace(tzinfo=UTC).timestamp()
        os.utime(self.path, (at, at))
        actual = numbers(BoardCopy(PublishedFile(self.path), self.path), ZoneInfo("UTC"), day.date())
        assert actual is not None
        return actual


def figures_of(actual: Numbers) -> Iterator[tuple[Any, Figures]]:
    """All figures on the page, by day, dimension and value; there are none for what has no call."""
    for period, days in PERIODS.items():
        lines = [("all", "all", actual), *(("agent", line.name, line) for line in actual.agents)]
        for dimension, value, line in (*lines, *(("issue_type", line.name, line) for line in actual.issues)):
            if (shown := getattr(line, period)) != Figures():
                yield (actual.day - timedelta(days=days), dimension, value), shown


def rates(shown: Figures) -> list[Any]:
    return [
        shown.calls, shown.resolved, shown.transfers, shown.duration, shown.satisfaction, shown.rated, *shown.scores
    ]  # fmt: skip


def test_the_board_says_of_days_what_the_scorecard_says(counted: "Warehouse", board: Board) -> None:
    cards = figures(counted, "scorecard_daily", "period_start, dimension, dimension_value", ", ".join(SHOWN))
    completed = {
        tuple(row.values())[:-1]: row["number"]
        for dimension, value in (
            ("all", "'all'"),
            ("agent", "source || ':' || coalesce(agent_id, 'unknown')"),
            ("issue_type", "issue_type"),
        )
        for row in counted.rows(
            f"select calls.call_date, '{dimension}' as dimension, {value} as value, count(*) as number "
            "from marts.calls as calls join marts.call_outcomes as outcomes using (call_key, source) "
            "where status = 'completed' group by all"
        )
    }
    seen: dict[Any, Figures] = {}
    for number in range(7, 21):
        day = FIRST_DAY + timedelta(days=number)
        actual = board.on(day, published_at=FIRST_DAY + timedelta(days=30))
        assert sum(actual.hours) == actual.today.completed
        for key, shown in figures_of(actual):
            assert seen.setdefault(key, shown) == shown, "one day says the same on whichever page"
        medians = counted.rows(
            "select percentile_cont(0.5) within group (order by seconds_from_call_end_to_sent) as median "
            f"from marts.actions where cast(call_ended_at as date) = '{day:%Y-%m-%d}'"
        )
        assert actual.median_seconds == pytest.approx(medians[0]["median"])
    assert len({day for day, _, _ in cards}) == 21
    wanted = {key: card for key, card in cards.items() if key[1] in ("all", "agent", "issue_type")}
    agree({key: rates(shown) for key, shown in seen.items()}, wanted)
    assert {key: shown.completed for key, shown in seen.items() if shown.completed} == completed


def test_the_board_says_of_a_day_so_far_what_its_quarters_of_an_hour_say(
    counted: "Warehouse", board: Board
) -> None:
    actual: dict[Any, list[Any]] = {}
    moment = timedelta(hours=14, minutes=45)
    for number in range(7, 21):
        at = FIRST_DAY + timedelta(days=number) + moment
        actual |= {key: rates(shown) for key, shown in figures_of(board.on(at, published_at=at))}
    rows = counted.rows(
        f"""select
            call_date,
            case when grouping(by_agent) = 0 then 'agent' when grouping(issue_type) = 0 then 'issue_type' else 'all'
            end as dimension,
            coalesce(by_agent, issue_type, 'all') as dimension_value,
            sum(call_count) as call_count,
            sum(resolved_call_count) / nullif(sum(resolved_call_count + unresolved_call_count), 0) as resolution_rate,
            sum(transfer_request_count) / sum(call_count) as transfer_rate,
            sum(handle_seconds_sum) / nullif(sum(handled_call_count), 0) as average_handle_seconds,
            sum(satisfaction_sum) / nullif(sum(rated_call_count), 0) as average_satisfaction,
            {", ".join(f"sum({name}) as {name}" for name in SHOWN if name.startswith("rated_"))}
        from (from marts.call_volume select *, source || ':' || agent_id as by_agent)
        where quarter_start < call_date + interval '{moment}'
        group by grouping sets ((call_date), (call_date, by_agent), (call_date, issue_type))
        having sum(call_count) > 0"""
    )
    wanted = {tuple(row.values())[:3]: list(row.values())[3:] for row in rows}
    # the first week stands only beside the second, where that has the agent
    first = FIRST_DAY.date() + timedelta(days=7)
    agree(actual, {key: row for key, row in wanted.items() if key[0] >= first or key in actual})
