"""Settings of e-mail: sender, brand, who gets none, and the systems that send. Checked where they are used."""

from pathlib import Path

from pydantic import Field

from receiver.config import Home


class EmailSettings(Home):
    """Part of `integrations.config.IntegrationSettings`; each is `AFTERCALL_` and the field's name."""

    email_from_address: str = Field("support@example.com", description="Sender's address of every e-mail.")
    email_from_name: str = Field(
        "Customer Support", description="Sender's name, and the signature of every e-mail."
    )
    email_reply_to: str | None = Field(None, description="Address for replies, if not the sender's.")
    email_allow_example_domains: bool = Field(
        False,
        description="1: send to and from example.com, .test and .invalid too (a mail server for tests).",
    )
    email_suppression_file: Path | None = Field(
        None,
        description="Addresses and @domains that get no mail, one per line; default: suppressed.txt in the home.",
    )
    email_list_unsubscribe: str = Field(
        "",
        description="List-Unsubscribe: a mailto: or https: address, or both, comma separated; {mail} in it "
        "becomes the mail's own id.",
    )
    email_require_consent: bool = Field(
        False,
        description="1: no e-mail to a customer unless the call's variable email_consent says yes.",
    )
    email_only_known: bool = Field(
        False,
        description="1: write only to addresses that the CRM of AFTERCALL_CRM already holds for the caller's number; "
        "then no address that a caller names gets into the CRM.",
    )
    email_quotes_summary: bool = Field(True, description="0: no e-mail quotes the notes about the call.")
    brand_name: str = Field("", description="Name on top of every e-mail; default: the sender's name.")
    brand_logo_url: str = Field(
        "",
        description="https address of a logo (PNG, shown 40 pixels high and at most 180 wide); empty: the name.",
    )
    brand_color: str = Field("#2b59c3", description="Colour of the e-mails' edge and button, as #rrggbb.")
    brand_address: str = Field("", description="Postal address in one line, for the small print.")
    support_phone: str = Field("", description="Phone number for customers, as they should read it.")
    support_url: str = Field("", description="https address of your help pages; empty: no button.")
    # Not in `smtp`, because a dispatcher's lease must outlast it.
    smtp_whole_seconds: float = Field(
        120.0, gt=0, description="Longest time that one mail over SMTP may take, in seconds."
    )
