"""What a materialisation shows of a table: how many rows it has, whatever was deleted, and none of the rows."""

from orchestration.config import OrchestrationSettings
from orchestration.defs.assets.metadata import row_counts
from orchestration.warehouse import memory_connection

NAMES = ("full", "thinned", "emptied", "seen")


def test_rows_are_counted_and_none_is_shown() -> None:
    with memory_connection(OrchestrationSettings()) as connection:
        for name in NAMES[:-1]:
            connection.execute(
                f"create table \"{name}\" as select range as i, '+12025550100' as phone from range(9)"
            )
        connection.execute("delete from thinned where i < 5")
        connection.execute("delete from emptied")
        connection.execute('create view seen as from "full" where i < 2')
        counted = row_counts(connection, [("main", name) for name in NAMES])
        assert row_counts(connection, []) == {}
    shown = {
        name: {label: value.value for label, value in said.items()} for (_, name), said in counted.items()
    }
    assert shown == {
        name: {"dagster/row_count": rows} for name, rows in zip(NAMES, (9, 4, 0, 2), strict=True)
    }
