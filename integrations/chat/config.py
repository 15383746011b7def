"""Settings of the chat channel, whatever its destination. Checked where they are used."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from integrations import former_names
from receiver.config import Home


class ChatSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""

    # With two names in the environment, a field would not be settable by its own in code otherwise.
    model_config = SettingsConfigDict(populate_by_name=True)

    chat: str = Field(
        "preview",
        validation_alias=former_names.either("chat"),
        description="Destinations of chat messages: file names in integrations/chat/. Formerly AFTERCALL_SLACK.",
    )
    chat_alert_channel: str = Field(
        "#alerts",
        validation_alias=former_names.either("chat_alert_channel"),
        description="Chat channel of alerts about aftercall itself. Formerly AFTERCALL_SLACK_ALERT_CHANNEL.",
    )
    chat_max_age_hours: float = Field(
        24.0,
        gt=0,
        validation_alias=former_names.either("chat_max_age_hours"),
        description="Age at which a new chat message is too old. Formerly AFTERCALL_SLACK_MAX_AGE_HOURS.",
    )
