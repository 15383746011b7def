"""Settings of the systems behind the ticket channel. Checked where they are used."""

from receiver.config import Home


class TicketSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""
