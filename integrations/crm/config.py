"""Settings of the systems behind the CRM channel. Checked where they are used."""

from pydantic import Field

from receiver.config import Home


class CrmSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""

    phone_region: str = Field(
        "US",
        description="Country of the phone numbers, of calls and in the CRM, that name none (US, DE, …); empty: such "
        "numbers are nobody's.",
    )
    crm_fields: str = Field(
        "",
        description="Fields of your own in the CRM's contacts that are kept up to date: call_count=calls__c, "
        "also last_call_at and is_vip.",
    )
