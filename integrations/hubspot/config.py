"""Settings of HubSpot that tickets and CRM share. Checked where they are used."""

from pydantic import Field, SecretStr

from receiver.config import Home


class HubSpotSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""

    hubspot_token: SecretStr = Field(
        SecretStr(""), description="Token (pat-…) of the private app for HubSpot tickets and CRM."
    )
    hubspot_api_url: str = Field("https://api.hubapi.com", description="HubSpot's API.")
