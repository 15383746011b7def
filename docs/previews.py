"""`make screenshots`: the pictures of docs/messages.md. E-mails are the real HTML in Chromium; the rest are renditions.

Everything shown comes from the renderings that send: only the frame around a Slack message and a record is drawn here.
"""

import base64
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from selenium.webdriver import Chrome

from docs.screenshots import IMAGES, browser
from integrations.chat.message import ALERT, message
from integrations.chat.slack_message import arguments
from integrations.config import IntegrationSettings
from integrations.crm import rendering as crm
from integrations.destinations import Delivery
from integrations.email import rendering as email
from integrations.ticket import rendering as ticket

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
WIDE, PHONE = 640, 390
SUMMARY = "Jane wanted to move her booking to Friday. The new car is a compact, picked up at 9 am at the main station."
UNSETTLED = (
    "Jane was charged twice for her booking on 28 October. She has sent the receipt and waits for the refund."
)
MAILS: dict[str, dict[str, Any]] = {
    "thank_you": {"customer_name": "Jane Smith", "summary": SUMMARY},
    "additional_resources": {"customer_name": "Jane Smith", "issue_type": "billing", "summary": UNSETTLED},
    "apology_escalation": {"customer_name": "Jane Smith", "issue_type": "billing", "summary": UNSETTLED},
}
LANGUAGES: dict[str, dict[str, Any]] = {
    "de": {
        "customer_name": "Frau Weber",
        "issue_type": "Buchung",
        "summary": "Frau Weber hat ihre Buchung auf Freitag verlegt. Abholung um 9 Uhr am Hauptbahnhof.",
    },
    "es": {
        "customer_name": "María García",
        "issue_type": "reserva",
        "summary": "María cambió su reserva al viernes. Recogerá el coche a las 9 en la estación.",
    },
    "ar": {
        "customer_name": "ليلى حداد",
        "issue_type": "الحجز",
        "summary": "نقلت ليلى حجزها إلى يوم الجمعة. ستستلم السيارة في التاسعة صباحًا من المحطة الرئيسية.",
    },
}
TURNS = (
    "Agent: Harbour Cars, how can I help?\nCustomer: I was charged twice.\nAgent: I am sorry to hear that."
)


def main() -> None:
    """Write the pictures of messages and records into `docs/images/`."""
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        home = Path(folder)
        settings = IntegrationSettings(
            home=home, board_url="https://board.example.com", support_phone="+1 202 555 0100",
            support_url="https://harbour-cars.example/help", brand_name="Harbour Cars", brand_color="#0f766e",
            brand_address="12 Quay Street, Springfield", email_from_name="Harbour Cars",
            email_list_unsubscribe="https://harbour-cars.example/stop/{mail}",
        )  # fmt: skip
        for template, details in MAILS.items():
            html = _mail(template, "en", details, settings)
            picture(page, home, f"mail-{template}", html, WIDE)
            picture(page, home, f"mail-{template}-dark", html, WIDE, dark=True)
            picture(page, home, f"mail-{template}-phone", html, PHONE)
        for language, details in LANGUAGES.items():
            html = _mail("thank_you", language, details, settings)
            picture(page, home, f"mail-thank_you-{language}", html, WIDE)
        for name, html in renditions(settings).items():
            picture(page, home, name, html, WIDE)


def renditions(settings: IntegrationSettings) -> dict[str, str]:
    """Pages that show Slack messages, a ticket and a note, by the name of their picture."""
    links = {"ticket": "https://desk.example/4711", "contact": "https://crm.example/17"}
    unhappy = {
        "slack_channel": "#alerts", "icon": "⚠️",
        "headline": "Unhappy customer: charged twice, waits for the refund",
        "customer": "Jane Smith", "summary": UNSETTLED, "action_needed": "Call the customer back today",
        "agent_id": "billing-agent", "started_at": "2026-11-02T07:55:00Z",
    }  # fmt: skip
    problem = {
        "slack_channel": "#alerts", "headline": "The ticket channel has stopped at zendesk",
        "summary": "zendesk: Zendesk answered 401: Couldn't authenticate you. Look at AFTERCALL_ZENDESK_TOKEN",
        "action_needed": "Mend it; nothing is lost, and it goes on by itself within 15 minutes.",
    }  # fmt: skip
    over = {
        "slack_channel": "#alerts", "headline": "Resolved: The ticket channel has stopped at zendesk",
        "summary": "It lasted from 2026-11-02 07:40 to 2026-11-02 07:52 UTC.",
    }  # fmt: skip
    record = {
        "title": "Billing: Jane Smith", "description": f"{UNSETTLED}\n\n{TURNS}", "priority": "high",
        "queue": "billing", "issue_type": "billing", "customer_name": "Jane Smith",
        "customer_phone": "+12025550143", "customer_email": "jane@example.com", "is_resolved": False,
    }  # fmt: skip
    note = {
        "phone": "+12025550143", "title": "Voice call - 4 min - unresolved", "body": UNSETTLED,
        "started_at": "2026-11-02T07:55:00Z", "duration_seconds": 245, "agent_id": "billing-agent",
    }  # fmt: skip
    made_ticket = orjson.loads(ticket.render(_delivery("ticket", "ticket", record)).body)
    made_note = orjson.loads(crm.render(_delivery("crm", "note", note)).body)
    return {
        "slack-call": _slack(_delivery("chat", "unhappy_customer", unhappy, links), settings),
        "slack-problem": _slack(_delivery("chat", "pipeline_alert", problem), settings),
        "slack-resolved": _slack(_delivery("chat", "pipeline_alert", over), settings),
        "ticket": _page(
            title=made_ticket["title"],
            tags=(made_ticket["priority"], made_ticket["queue"]),
            text=made_ticket["description"],
        ),
        "note": _page(title="Jane Smith", tags=("note",), text=made_note["text"]),
    }


def picture(page: Chrome, home: Path, name: str, html: str, width: int, *, dark: bool = False) -> None:
    """A page as it stands, as high as it is."""
    file = home / "page.html"
    file.write_text(html, encoding="utf-8")
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size: dict[str, Any] = {"width": width, "deviceScaleFactor": 1, "mobile": width == PHONE}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": 100})
    page.get(file.as_uri())
    height = page.execute_script("return document.documentElement.scrollHeight")
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": height})
    shot = page.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (IMAGES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def _mail(template: str, language: str, details: dict[str, Any], settings: IntegrationSettings) -> str:
    payload = {
        "template": template,
        "language": language,
        "to_address": "jane@example.com",
        "issue_type": "booking",
    }
    return email.bodies(email.message(_delivery("email", "follow_up_email", payload | details), settings))[1]


def _delivery(
    channel: str, kind: str, payload: dict[str, Any], links: dict[str, str] | None = None
) -> Delivery:
    call = None if kind == ALERT else "4f1c"
    return Delivery(f"{kind}:atoms:4f1c", channel, kind, "atoms", call, payload, at=AT, links=links or {})


def _slack(delivery: Delivery, settings: IntegrationSettings) -> str:
    request = arguments(message(delivery, settings))
    return _page(blocks=request["blocks"], channel=request["channel"])


def _page(**values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["mrkdwn"] = _mrkdwn
    empty = {"blocks": (), "channel": "", "title": "", "tags": (), "text": ""}
    return environment.get_template("previews.html.j2").render(empty | values)


def _mrkdwn(text: str) -> Markup:
    """Slack's bold label; the rest of it comes escaped already."""
    return Markup(re.sub(r"^\*(.+?)\*", r"<b>\1</b>", text))  # noqa: S704 - blocks.escape did it


if __name__ == "__main__":
    main()
