"""What a materialisation shows of a table: its rows and the last of them, whatever was deleted."""

import duckdb

from orchestration.assets.metadata import of_relations

NAMES = ("full", "thinned", "torn", "emptied", "seen")


def test_rows_and_the_last_of_them() -> None:
    with duckdb.connect() as connection:
        for name in NAMES[:-1]:
            connection.execute(
                f'create table "{name}" as select range as i, repeat($$x$$, 100) as x from range(9)'
            )
        connection.execute("delete from thinned where i < 5")
        connection.execute("delete from torn where i between 3 and 7")
        connection.execute("delete from emptied")
        connection.execute('create view seen as from "full" where i < 2')
        found = of_relations(connection, [("main", name) for name in NAMES])
    shown = {
        name: (
            said["dagster/row_count"].value,
            [record.data["i"] for record in said["preview"].value.records],
        )
        for (_, name), said in found.items()
    }
    assert shown["full"] == (9, [8, 7, 6, 5, 4])
    assert shown["thinned"] == (4, [8, 7, 6, 5])
    assert shown["torn"] == (4, [0, 1, 2, 8])
    assert shown["emptied"] == (0, [])
    assert shown["seen"] == (2, [0, 1])
    cut = found["main", "full"]["preview"].value.records[0].data["x"]
    assert (len(cut), cut[-1]) == (80, "…")
