"""Settings of Slack. Checked where they are used."""

from pydantic import Field, SecretStr

from receiver.config import Home


class SlackSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""

    slack_alert_channel: str = Field("#alerts", description="Slack channel of alerts about aftercall itself.")
    slack_webhook_url: SecretStr = Field(
        SecretStr(""),
        description="Incoming webhooks of AFTERCALL_SLACK=webhook, comma separated: #channel=URL, and one URL "
        "alone for every other channel.",
    )
    slack_bot_token: SecretStr = Field(SecretStr(""), description="Token (xoxb-…) of AFTERCALL_SLACK=bot.")
    slack_look_first: bool = Field(
        True,
        description="Look into a channel before posting, so that a crash posts nothing twice; needs "
        "channels:read and channels:history.",
    )
    board_url: str = Field(
        "",
        description="Address under which people open the board, for buttons in messages and links in tickets; empty: "
        "none.",
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Slack's API; GovSlack has its own.")
