"""Settings of the systems behind the CRM channel. Checked where they are used."""

from pydantic import Field, SecretStr

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
    salesforce_url: str = Field(
        "", description="My Domain of AFTERCALL_CRM=salesforce: https://acme.my.salesforce.com."
    )
    salesforce_client_id: str = Field(
        "", description="Consumer key of an external client app with the client credentials flow."
    )
    salesforce_client_secret: SecretStr = Field(SecretStr(""), description="Its consumer secret.")
    salesforce_new: str = Field("Contact", description="What a new customer becomes: Contact or Lead.")
    salesforce_company: str = Field("-", description="Company of new leads, which Salesforce requires.")
    salesforce_key_field: str = Field(
        "CallObject",
        description="Text field of Salesforce's tasks that holds the action's key; best one of your own that is "
        "unique and an external id.",
    )
    tryton_url: str = Field(
        "", description="Address and database of AFTERCALL_CRM=tryton: https://tryton.example.com/crm."
    )
    tryton_key: SecretStr = Field(SecretStr(""), description="Key of a user application `rest` in Tryton.")
    tryton_company: int = Field(1, description="Id of the company in Tryton whose tasks are made.")
    tryton_web_url: str = Field("", description="Address of Tryton's web client, for links to its records.")
