"""Settings of the systems behind the ticket channel. Checked where they are used."""

from pydantic import Field, SecretStr

from receiver.config import Home


class TicketSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""

    zendesk_url: str = Field("", description="Address of Zendesk: https://NAME.zendesk.com.")
    zendesk_email: str = Field(
        "", description="The agent whose API token it is; empty: the token is an OAuth token."
    )
    zendesk_token: SecretStr = Field(SecretStr(""), description="API token or OAuth token of Zendesk.")
    zendesk_groups: str = Field(
        "", description="Group of each queue: billing=123,support=456,789; the one alone is for all others."
    )

    jira_url: str = Field("", description="Address of Jira Cloud: https://NAME.atlassian.net.")
    jira_email: str = Field("", description="The account whose API token it is; empty: a bearer token.")
    jira_token: SecretStr = Field(SecretStr(""), description="API token of Jira.")
    jira_projects: str = Field(
        "",
        description="Project of each queue, with its component: billing=BILL,cars=SUP/Rental,SUP; the one alone is "
        "for all others.",
    )
    jira_issue_type: str = Field("Task", description="Issue type of every ticket in Jira.")
    jira_priorities: str = Field(
        "urgent=Highest,high=High,normal=Medium,low=Low",
        description="What our priorities are called in Jira; empty: tickets get no priority.",
    )

    hubspot_ticket_stages: str = Field(
        "0/1",
        description="Pipeline and stage of each queue's new tickets: billing=12/34,0/1; the one alone is for all "
        "others (0/1: HubSpot's own first pipeline and stage).",
    )
    hubspot_portal: str = Field("", description="Number of the HubSpot account, for links to its records.")

    redmine_url: str = Field("", description="Address of Redmine.")
    redmine_key: SecretStr = Field(SecretStr(""), description="API key of aftercall's own user in Redmine.")
    redmine_projects: str = Field(
        "",
        description="Project of each queue, by identifier, with its category: billing=bills,cars=desk/Rental,desk; "
        "the one alone is for all others.",
    )
    redmine_tracker: str = Field("", description="Tracker of every ticket; default: the project's first.")
    redmine_priorities: str = Field(
        "urgent=Urgent,high=High,normal=Normal,low=Low",
        description="What our priorities are called in Redmine.",
    )
    redmine_plain_text: bool = Field(
        False, description="1: Redmine's text formatting is `none`, so that nothing needs to be escaped."
    )
