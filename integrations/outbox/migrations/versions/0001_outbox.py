"""The tables of the first release. `migrate` creates the tables of a new outbox by `schema`, at the newest revision."""

revision = "0001_outbox"
down_revision = None


def upgrade() -> None:
    """Nothing: no outbox is older."""
