"""The channel `slack` is called `chat`, and its destinations `bot` and `webhook` are `slack_bot` and `slack_webhook`.

Keys stay as they are, so nothing is sent twice. The rows count as changed, so that the warehouse loads them again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DESTINATIONS = {"bot": "slack_bot", "webhook": "slack_webhook"}
ACTIONS, ATTEMPTS, *OTHERS = (
    sa.table(name, *map(sa.column, ("action_key", "channel", "destination", "change_number")))
    for name in ("actions", "attempts", "previews", "pauses", "streaks", "claims", "paces")
)
COUNTER = sa.table("change_counter", sa.column("value"))


def upgrade() -> None:
    """From `slack` to `chat`."""
    _rename("slack", "chat", DESTINATIONS)


def downgrade() -> None:
    """Back to `slack`; destinations that did not exist then keep their names."""
    _rename("chat", "slack", {new: old for old, new in DESTINATIONS.items()})


def _rename(old_channel: str, new_channel: str, destinations: dict[str, str]) -> None:
    keys = sa.select(ACTIONS.c.action_key).where(ACTIONS.c.channel == old_channel)
    op.execute(sa.update(COUNTER).where(sa.exists(keys)).values(value=COUNTER.c.value + 1))
    number = sa.select(COUNTER.c.value).scalar_subquery()
    op.execute(sa.update(ACTIONS).where(ACTIONS.c.channel == old_channel).values(change_number=number))
    for old, new in destinations.items():
        renamed = sa.update(ATTEMPTS).where(ATTEMPTS.c.destination == old, ATTEMPTS.c.action_key.in_(keys))
        op.execute(renamed.values(destination=new))
        for table in (ACTIONS, *OTHERS):
            rows = table.c.channel == old_channel, table.c.destination == old
            op.execute(sa.update(table).where(*rows).values(destination=new))
    for table in (ACTIONS, *OTHERS):
        op.execute(sa.update(table).where(table.c.channel == old_channel).values(channel=new_channel))
