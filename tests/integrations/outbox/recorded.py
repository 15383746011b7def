"""The whole ledger of problems, for tests: product code asks narrower questions."""

from sqlalchemy import select

from integrations.outbox import Outbox, Problem
from integrations.outbox.engine import reading
from integrations.outbox.schema import problems


def all_problems(outbox: Outbox) -> list[Problem]:
    """Every problem there is and was, the oldest first."""
    with reading(outbox.engine) as connection:
        rows = connection.execute(select(problems).order_by(problems.c.since, problems.c.key)).mappings()
        return [Problem(**row) for row in rows]
