"""Settings of the systems behind the CRM channel. Checked where they are used."""

from receiver.config import Home


class CrmSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""
