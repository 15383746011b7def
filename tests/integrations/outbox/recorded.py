"""What stands in an outbox's tables, for tests: product code asks narrower questions."""

from sqlalchemy import select

from integrations.outbox import Outbox, Preview, Problem
from integrations.outbox.engine import reading
from integrations.outbox.schema import previews, problems


def all_problems(outbox: Outbox) -> list[Problem]:
    """Every problem there is and was, the oldest first."""
    with reading(outbox.engine) as connection:
        rows = connection.execute(select(problems).order_by(problems.c.since, problems.c.key)).mappings()
        return [Problem(**row) for row in rows]


def previews_of(outbox: Outbox, channel: str) -> list[Preview]:
    """The stored previews of a channel, the newest first."""
    query = select(previews).where(previews.c.channel == channel)
    with reading(outbox.engine) as connection:
        rows = connection.execute(query.order_by(previews.c.updated_at.desc(), previews.c.action_key))
        return [Preview(**row) for row in rows.mappings()]
